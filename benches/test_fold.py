"""How many messages, streamed deltas and edits a second does a fold take? What does a decision cost that is not due?"""

import random
from datetime import UTC, datetime

from pytest_benchmark.fixture import BenchmarkFixture

from retold.events import (
    Draft,
    Fact,
    Head,
    HistoryEdited,
    ItemAppended,
    ItemExtended,
    Message,
    Recorded,
    SessionKey,
    SessionOpened,
    Text,
    Window,
    record,
)
from retold.fold import fold
from retold.policy import is_due, limits_of

KEY = SessionKey(tenant="default", session="bench")
EVENTS = 2_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _events() -> list[Recorded]:
    chance = random.Random(7)
    words = "the worker reads a session in order and decides after each event what has to leave".split()
    window = Window(hard_limit=2_000_000, pre_rot=1_500_000)
    drafts = [Draft(id="0", at=NOW, actor="bench", data=SessionOpened(window=window))]
    for number in range(1, EVENTS):
        text = " ".join(chance.choice(words) for _ in range(60))
        item = Message(role="user" if number % 2 else "assistant", content=(Text(text),))
        drafts.append(Draft(id=str(number), at=NOW, actor="bench", data=ItemAppended(item=item)))
    return record(drafts, key=KEY, head=Head())


def test_fold_of_two_thousand_events(benchmark: BenchmarkFixture) -> None:
    """Fold 2,000 messages of about 60 words into a state, counting included."""
    events = _events()
    context = benchmark(fold, events)
    assert context.seq == EVENTS


def _after(events: list[Recorded], facts: list[Fact]) -> list[Recorded]:
    drafts = [Draft(id=f"n{number}", at=NOW, actor="bench", data=fact) for number, fact in enumerate(facts)]
    return record(drafts, key=KEY, head=events[-1].head)


def test_fold_of_a_thousand_streamed_deltas(benchmark: BenchmarkFixture) -> None:
    """Fold 1,000 deltas of three words into the newest of 1,000 entries."""
    events = _events()[:1_000]
    deltas = _after(events, [ItemExtended(text=" and then some")] * 1_000)
    base = fold(events)
    benchmark(lambda: fold(deltas, base=base))


def test_fold_of_two_hundred_edits(benchmark: BenchmarkFixture) -> None:
    """Fold 200 edits, each of one entry in the middle of 2,000."""
    events = _events()
    short = (Message(role="user", content=(Text("short"),)),)
    places = [f"i{number}" for number in range(1_000, 1_200)]
    edits = _after(events, [HistoryEdited(items=short, first=place, last=place) for place in places])
    base = fold(events)
    benchmark(lambda: fold(edits, base=base))


def test_decision_that_is_not_due(benchmark: BenchmarkFixture) -> None:
    """Ask whether a history of 2,000 entries calls for a compaction."""
    context = fold(_events())
    limits = limits_of(context.window)
    assert benchmark(is_due, context, context.tokens.upper, limits) is False
