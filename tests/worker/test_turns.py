"""Turns: nobody is forgotten, nobody is worked on twice at once, and no tenant keeps another waiting."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.events import SessionKey
from retold.ports import SessionEnd
from retold.worker.turns import Turns

PLACES = 4
TENANT_PLACES = 3

_KEYS = [
    SessionKey(tenant, f"s{nth}") for tenant, many in (("noisy", 9), ("busy", 4), ("quiet", 1)) for nth in range(many)
]
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wake"), st.sampled_from(_KEYS), st.integers(1, 99)),
        st.tuples(st.just("take"), st.just(_KEYS[0]), st.just(0)),
        st.tuples(st.sampled_from(["end", "stop"]), st.just(_KEYS[0]), st.integers(0, 99)),
    ),
    max_size=120,
)


class _Owed:
    """Follow turns beside a plain account of what is owed to whom."""

    def __init__(self) -> None:
        self.turns = Turns(places=PLACES, tenant_places=TENANT_PLACES)
        self.owed: dict[SessionKey, int] = {}
        self.working: dict[SessionKey, SessionEnd] = {}

    def wake(self, key: SessionKey, number: int) -> None:
        """Wake a session."""
        self.turns.wake(SessionEnd(key=key, seq=number))
        self.owed[key] = number

    def take(self) -> bool:
        """Take a turn, if there is one, and check it."""
        turn = self.turns.take()
        if turn is None:
            return False
        assert turn.key not in self.working
        assert self.owed.pop(turn.key) == turn.seq
        self.working[turn.key] = turn
        held = Counter(key.tenant for key in self.working)
        assert len(self.working) <= PLACES
        assert max(held.values()) <= TENANT_PLACES
        return True

    def end(self, number: int, *, left: bool) -> None:
        """End a turn, with something left to do or not."""
        if not self.working:
            return
        turn = self.working.pop(list(self.working)[number % len(self.working)])
        if left:
            self.owed.setdefault(turn.key, turn.seq)
        self.turns.end(turn.key, left=turn if left else None)


@law(150)
@given(_STEPS)
def test_every_wake_gets_its_turn_and_no_session_two_at_once(steps: list[tuple[str, SessionKey, int]]) -> None:
    """However sessions are woken, taken and ended, each wake is followed by a turn that knows it."""
    told = _Owed()
    for verb, key, number in steps:
        if verb == "wake":
            told.wake(key, number)
        elif verb == "take":
            told.take()
        else:
            told.end(number, left=verb == "stop")
        assert told.turns.waiting == len(told.owed.keys() - told.working.keys())
        assert all(told.turns.holds(one) == (one in told.owed or one in told.working) for one in _KEYS)
    while told.owed or told.working:
        if not told.take():
            told.end(0, left=False)
    assert not told.turns.waiting


@pytest.mark.parametrize("noisy", [10, 1_000])
def test_a_tenant_waits_for_one_turn_of_each_other_tenant(noisy: int) -> None:
    """A thousand sessions that another tenant woke before mine cost me one turn, as ten do."""
    turns = Turns(places=1, tenant_places=1)
    for nth in range(noisy):
        turns.wake(SessionEnd(key=SessionKey("noisy", f"s{nth}"), seq=1))
    for nth in range(3):
        turns.wake(SessionEnd(key=SessionKey("quiet", f"s{nth}"), seq=1))
    taken = []
    for _ in range(6):
        turn = turns.take()
        assert turn is not None
        taken.append(turn.key.tenant)
        turns.end(turn.key, left=turn)  # each has more to do
    assert taken == ["noisy", "quiet"] * 3


def test_who_is_away_leaves_its_place_and_comes_back_in_turn() -> None:
    """While a session waits for a model, another has its place; it goes on when its turn has come again."""

    async def run() -> None:
        turns, told = Turns(places=1, tenant_places=1), []
        first, second = SessionKey("a", "first"), SessionKey("b", "second")
        answered = asyncio.Event()

        async def work() -> None:
            async with turns.away(first):
                await answered.wait()
            told.append("back")

        turns.wake(SessionEnd(key=first, seq=1))
        turns.wake(SessionEnd(key=second, seq=1))
        assert turns.take() == SessionEnd(key=first, seq=1)
        assert turns.take() is None
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert turns.take() == SessionEnd(key=second, seq=1)
        turns.wake(SessionEnd(key=first, seq=2))
        answered.set()
        await asyncio.sleep(0)
        assert turns.take() is None, "the one place is taken, and nobody else works on the first"
        turns.end(second)
        assert turns.take() is None, "the place is the first one's again"
        await task
        assert told == ["back"]
        turns.end(first)
        assert turns.take() == SessionEnd(key=first, seq=2)

    asyncio.run(run())


@pytest.mark.parametrize("is_answered", [False, True])
def test_who_is_cancelled_while_away_keeps_no_place(*, is_answered: bool) -> None:
    """A session that is stopped while it waits for a model, or to come back, leaves the place to others."""

    async def run() -> None:
        turns, answered = Turns(places=1, tenant_places=1), asyncio.Event()
        first, second = SessionKey("a", "first"), SessionKey("b", "second")

        async def work() -> None:
            async with turns.away(first):
                await answered.wait()

        turns.wake(SessionEnd(key=first, seq=1))
        turns.wake(SessionEnd(key=second, seq=1))
        assert turns.take() is not None
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert turns.take() == SessionEnd(key=second, seq=1)
        if is_answered:
            answered.set()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        turns.end(first)
        turns.end(second)
        turns.wake(SessionEnd(key=second, seq=2))
        assert turns.take() == SessionEnd(key=second, seq=2)

    asyncio.run(run())
