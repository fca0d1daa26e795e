"""A ledger always sums what a plain list of its items sums, however they came, were replaced or were saved."""

import random
import threading
from collections.abc import Callable, Sequence

import pytest

from retold.errors import InputError
from retold.ledger import Ledger
from retold.sizes import Tokens


def _size(chance: random.Random) -> Tokens:
    """Return a size: mostly text and framing, now and then an estimate or the greatest that an item can have."""
    estimated = chance.choice([0, 0, 0, 1, 3, 1_844, 2**32 - 1])
    return Tokens(exact=chance.randrange(3_000), reconstructed=chance.randrange(9), estimated=estimated)


def _sizes(chance: random.Random, most: int) -> list[Tokens]:
    return [_size(chance) for _ in range(chance.randrange(most + 1))]


def _sum(sizes: Sequence[Tokens]) -> Tokens:
    return sum(sizes, Tokens())


def _range(sizes: Sequence[Tokens], chance: random.Random) -> tuple[int, int]:
    first, second = (chance.randrange(len(sizes) + 1) for _ in range(2))
    return min(first, second), max(first, second)


def test_a_changed_ledger_sums_what_a_list_sums() -> None:
    """Whatever is appended, replaced or taken out, every sum is that of the items that are left."""
    chance = random.Random(3)
    for _ in range(40):
        sizes = _sizes(chance, 400)
        ledger = Ledger(sizes)
        for _ in range(12):
            new = _size(chance)
            ledger.append(new)
            sizes.append(new)
            start, end = _range(sizes, chance)
            replacing = _sizes(chance, 100)
            ledger.replace(start, end, replacing)
            sizes[start:end] = replacing
            if sizes:
                at = chance.randrange(len(sizes))
                ledger.put(at, new)
                sizes[at] = new
            start, end = _range(sizes, chance)
            assert len(ledger) == len(sizes)
            assert ledger.total == _sum(sizes)
            assert ledger.upper == _sum(sizes).upper
            assert ledger.prefix(end) == _sum(sizes[:end])
            assert ledger.span(start, end) == _sum(sizes[start:end])


def test_what_fits_is_as_much_as_the_sum_of_no_more_is_within_the_budget() -> None:
    """The cut that fits is the greatest part, from either end, whose sum's upper bound is within the budget."""
    chance = random.Random(4)
    for _ in range(150):
        sizes = [
            Tokens(exact=chance.randrange(40), estimated=chance.randrange(7)) for _ in range(chance.randrange(150))
        ]
        ledger = Ledger(sizes)
        budget = chance.randrange(_sum(sizes).upper + 20)
        counts = range(len(sizes) + 1)
        fitting = max(count for count in counts if _sum(sizes[:count]).upper <= budget)
        assert ledger.fit(budget, from_end=False) == fitting
        fitting = max(count for count in counts if _sum(sizes[len(sizes) - count :]).upper <= budget)
        assert ledger.fit(budget, from_end=True) == fitting


def test_a_bound_is_taken_of_the_sum_and_not_of_each_item() -> None:
    """Four items of one estimated token each are bounded by five tokens: rounding down at each would hide one."""
    ledger = Ledger([Tokens(estimated=1)] * 4)
    assert (ledger.upper, ledger.fit(4, from_end=True), ledger.fit(5, from_end=True)) == (5, 3, 4)


def test_a_restored_ledger_goes_on_where_the_other_was() -> None:
    """A ledger that was saved and read back holds the same items."""
    chance = random.Random(5)
    for _ in range(30):
        sizes = _sizes(chance, 300)
        ledger = Ledger(sizes)
        restored = Ledger.restore(ledger.snapshot())
        start, end = _range(sizes, chance)
        for one in (ledger, restored):
            one.replace(start, end, [Tokens(exact=1)])
        assert restored.total == ledger.total
        assert restored.snapshot() == ledger.snapshot()


def test_a_damaged_snapshot_is_refused_at_every_byte() -> None:
    """One flipped bit anywhere in a snapshot is found, and never summed."""
    snapshot = Ledger([Tokens(exact=9, reconstructed=4, estimated=2)] * 3).snapshot()
    assert len(snapshot) == 20 + 3 * 12
    for position in range(len(snapshot)):
        damaged = bytearray(snapshot)
        damaged[position] ^= 1
        for body in (bytes(damaged), snapshot[:position], snapshot + snapshot[position:]):
            with pytest.raises(InputError, match="expected a ledger's snapshot"):
                Ledger.restore(body)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ledger: ledger.replace(1, 4, []), "at most 3, the number of items, got 4"),
        (lambda ledger: ledger.replace(2, 1, []), "ends at 2 or later, got 1"),
        (lambda ledger: ledger.replace(-1, 1, []), "a start in items: a whole number of at least 0"),
        (lambda ledger: ledger.replace(0, 1, [Tokens(), Tokens(exact=-1)]), "item 1: expected three numbers"),
        (lambda ledger: ledger.put(3, Tokens()), "an item of a ledger of 3, got 3"),
        (lambda ledger: ledger.put(0, Tokens(exact=-1)), "from 0 to 4294967295, got -1"),
        (lambda ledger: ledger.prefix(4), "at most 3, the number of items, got 4"),
        (lambda ledger: ledger.span(0, 4), "at most 3, the number of items, got 4"),
        (lambda ledger: ledger.fit(-1, from_end=True), "a budget in tokens: a whole number of at least 0"),
        (lambda ledger: ledger.append(Tokens(estimated=2**32)), "from 0 to 4294967295, got 4294967296"),
        (lambda _: Ledger([Tokens(exact=-5)]), r"item 0: .* got \(-5, 0, 0\)"),
    ],
)
def test_a_refused_call_says_why_and_changes_nothing(call: Callable[[Ledger], object], message: str) -> None:
    """A wrong place or size is named, and the ledger is as it was before."""
    ledger = Ledger([Tokens(exact=2, reconstructed=4)] * 3)
    before = ledger.snapshot()
    with pytest.raises(InputError, match=message):
        call(ledger)
    assert ledger.snapshot() == before


def test_an_empty_ledger_has_nothing_and_everything_fits() -> None:
    """Without items there is no size, and no budget is too small."""
    ledger = Ledger()
    assert (len(ledger), ledger.total, ledger.prefix(0), ledger.fit(0, from_end=True)) == (0, Tokens(), Tokens(), 0)


def test_a_ledger_shows_its_sizes() -> None:
    """Printed, a ledger tells how much it holds."""
    assert "exact=6" in repr(Ledger([Tokens(exact=2)] * 3))
    assert "3 items" in repr(Ledger([Tokens(exact=2)] * 3))


def test_threads_take_turns_on_a_ledger() -> None:
    """No item is lost when threads share a ledger."""
    ledger = Ledger()
    size = Tokens(exact=3, estimated=4)

    def append_all() -> None:
        for _ in range(500):
            ledger.append(size)

    threads = [threading.Thread(target=append_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.total == Tokens(exact=6_000, estimated=8_000)
