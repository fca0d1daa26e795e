"""Laws of the shares: balanced, few moves, the same for all who look; and of who is taken for gone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.lease_ports import PARTITIONS, Claim
from retold.worker.sharing import Presence, Sightings, partition_name, read_table, shares, worker_name

_WORKERS = st.sets(st.sampled_from([f"w{number}" for number in range(12)]), max_size=12)
_HOLDERS = st.dictionaries(
    st.integers(0, PARTITIONS - 1), st.sampled_from([*(f"w{number}" for number in range(12)), "gone"])
)


def _kept(before: Mapping[int, str], after: Mapping[int, str], workers: Iterable[str]) -> int:
    """Return how many partitions of workers who are there did not change hands."""
    return sum(after.get(number) == holder for number, holder in before.items() if holder in set(workers))


@law(300)
@given(_WORKERS, _HOLDERS)
def test_every_partition_has_one_worker_and_no_worker_has_more_than_its_share(
    workers: set[str], holders: dict[int, str]
) -> None:
    """Whoever holds what and whoever comes or goes, all partitions are held, by equal shares."""
    plan = shares(workers, holders)
    if not workers:
        assert plan == {}
        return
    assert plan.keys() == set(range(PARTITIONS))
    sizes = Counter(plan.values())
    assert set(sizes) == workers
    assert max(sizes.values()) - min(sizes.values()) <= 1


@law(300)
@given(_WORKERS, _HOLDERS)
def test_shares_that_are_taken_stay_as_they_are(workers: set[str], holders: dict[int, str]) -> None:
    """Where nobody comes or goes, nothing is handed over: shares come to rest at once."""
    plan = shares(workers, holders)
    assert shares(workers, plan) == plan


@law(300)
@given(_WORKERS, _HOLDERS, st.randoms(use_true_random=False))
def test_the_order_in_which_a_table_is_read_does_not_matter(
    workers: set[str], holders: dict[int, str], chance: object
) -> None:
    """All workers that see the same table come to the same shares."""
    shuffled = list(holders.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert shares(sorted(workers, reverse=True), dict(shuffled)) == shares(workers, holders)


@law(200)
@given(st.lists(st.sampled_from(["a", "b", "c", "gone"]), min_size=5, max_size=5))
def test_no_fair_shares_move_fewer_partitions(holding: list[str]) -> None:
    """Of all ways to share equally, the one that is taken hands over the fewest (tried on five partitions)."""
    holders, workers = dict(enumerate(holding)), ["a", "b", "c"]
    plan = shares(workers, holders, partitions=5)
    fair = {
        order
        for sizes in set(permutations((2, 2, 1)))
        for order in permutations([worker for worker, size in zip(workers, sizes, strict=True) for _ in range(size)])
    }
    best = max(_kept(holders, dict(enumerate(one)), workers) for one in fair)
    assert _kept(holders, plan, workers) == best


def test_a_worker_that_joins_three_takes_a_quarter_and_nobody_else_moves() -> None:
    """When a fourth worker joins, 16 partitions move, all of them to it; when it leaves they move back."""
    three = shares(["a", "b", "c"], {})
    four = shares(["a", "b", "c", "d"], three)
    moved = {number for number in range(PARTITIONS) if three[number] != four[number]}
    assert len(moved) == 16
    assert {four[number] for number in moved} == {"d"}
    back = shares(["a", "b", "c"], four)
    assert {number for number in range(PARTITIONS) if four[number] != back[number]} == moved


def _seen(revision: int, ttl_s: float = 10.0) -> dict[str, tuple[Presence, Claim]]:
    return {"w": (Presence(ttl_s=ttl_s), Claim(value=b"", revision=revision))}


@pytest.mark.parametrize(
    ("looks", "gone"),
    [
        ([(1, 0.0, 1.0), (1, 10.9, 11.0)], False),
        ([(1, 0.0, 1.0), (1, 11.0, 11.5)], True),
        ([(1, 0.0, 1.0), (2, 9.0, 9.1), (2, 18.0, 18.1)], False),
        ([(1, 0.0, 1.0), (2, 30.0, 30.1)], False),
        ([(1, 50.0, 50.1)], False),
    ],
    ids=["not-yet", "stood-still", "renewed", "renewed-late", "first-look"],
)
def test_a_worker_is_gone_when_its_presence_stood_still_for_as_long_as_it_said(
    looks: list[tuple[int, float, float]], *, gone: bool
) -> None:
    """Only what a worker has seen itself, from the end of one look to the beginning of another, counts."""
    sightings = Sightings()
    for revision, asked_s, answered_s in looks:
        found = sightings.gone(_seen(revision), asked_s=asked_s, answered_s=answered_s)
    assert bool(found) == gone


def test_a_worker_waits_as_long_as_the_other_one_said() -> None:
    """Workers with different settings wait for each other as long as the silent one allows itself."""
    sightings = Sightings()
    sightings.gone(_seen(1, ttl_s=60.0), asked_s=0, answered_s=0)
    assert not sightings.gone(_seen(1, ttl_s=60.0), asked_s=59, answered_s=59)
    assert sightings.gone(_seen(1, ttl_s=60.0), asked_s=60, answered_s=60)


def test_what_cannot_be_read_in_the_table_says_nothing() -> None:
    """An entry that another program wrote names no worker and no partition."""
    presence = msgspec.json.encode(Presence(ttl_s=10))
    table = read_table(
        {
            worker_name("a"): Claim(value=presence, revision=1),
            worker_name("b"): Claim(value=b"?", revision=2),
            partition_name(3): Claim(value=b"a", revision=3),
            partition_name(4): Claim(value=b"", revision=4),
            "partition.64": Claim(value=b"a", revision=5),
            "partition.x": Claim(value=b"a", revision=6),
            "partition": Claim(value=b"a", revision=7),
        }
    )
    assert list(table.workers) == ["a"]
    assert table.holders == {3: "a"}
    assert table.revisions == {3: 3, 4: 4}
