"""Laws of runs: what the core makes of many appended items is what folding each of them gives."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import CHANGED, KEY, SAID, WORKED, Story, stories
from tests.laws.texts import TEXTS

from retold.errors import CorruptLogError
from retold.events import (
    VERSION,
    Block,
    Draft,
    Fact,
    Form,
    Head,
    Item,
    ItemAppended,
    Message,
    Opaque,
    Reasoning,
    Recorded,
    Role,
    SessionOpened,
    Text,
    ToolCall,
    ToolResult,
    Window,
    decode,
    record,
)
from retold.events.lines import KINDS
from retold.fold import Context, Run, RunBuilder, advance, encode_context, fold
from retold.log.names import event_subject, key_of
from retold.log.packing import PACKING
from retold.tokens import ENCODINGS, RECONSTRUCTIONS
from retold.wire import Runs, Scan

WIDE = Window(hard_limit=10_000_000)
_TEXTS = st.sampled_from(TEXTS) | st.text(max_size=40)
_NAMES = st.sampled_from(["", "a", 'b"\\', "ü", "run_tests"])
_MAYBE = st.none() | _NAMES
_FORMS = st.sampled_from(get_args(Form))
_KINDS = st.sampled_from(["function", "custom"])
_PARTS = st.lists(
    st.builds(Text, _TEXTS) | st.builds(Block, form=_FORMS, kind=st.just("image"), body=st.just("{}")), max_size=3
).map(tuple)
_TEXT_PARTS = st.lists(st.builds(Text, _TEXTS), max_size=3).map(tuple)
_EXTRAS = st.none() | st.none() | st.just('{"chat":{"message":{"tone":"dry"}}}')
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(
        Message,
        role=st.sampled_from(get_args(Role)),
        content=_TEXT_PARTS | _PARTS,
        id=_NAMES,
        name=_MAYBE,
        group=_MAYBE,
        extra=_EXTRAS,
    ),
    st.builds(
        ToolCall, call_id=_NAMES, name=_NAMES, arguments=_TEXTS, id=_NAMES, kind=_KINDS, group=_MAYBE, extra=_EXTRAS
    ),
    st.builds(
        ToolResult,
        call_id=_NAMES,
        content=_TEXT_PARTS,
        id=_NAMES,
        kind=_KINDS,
        is_error=st.booleans(),
        group=_MAYBE,
        extra=_EXTRAS,
    ),
    st.builds(
        Reasoning, text=_TEXTS | st.just(""), id=_NAMES, form=_FORMS, body=st.none() | st.just("{}"), group=_MAYBE
    ),
    st.builds(Opaque, form=_FORMS, kind=st.just("k"), body=st.just('{"text":"x"}')),
)


def delivered(events: Iterable[Recorded]) -> bytes:
    """Return *events* as a consumer delivers them."""
    frames = b""
    for at, recorded in enumerate(events, start=1):
        block = b"NATS/1.0\r\nRetold-Seq: %d\r\n\r\n" % recorded.event.seq
        reply = b"$JS.ACK.S.C.1.%d.%d.0.0" % (recorded.event.seq, at)
        subject = event_subject(recorded.event.key).encode()
        sizes = len(block), len(block) + len(recorded.body)
        frames += b"HMSG %s 1 %s %d %d\r\n%s%s\r\n" % (subject, reply, *sizes, block, recorded.body)
    return frames


def in_runs(events: Sequence[Recorded]) -> list[Recorded | Run]:
    """Return *events* as a scan by runs gives them."""
    scan, runs = Scan(VERSION, KINDS, PACKING), Runs(KINDS.index("ItemAppended"))
    parts: list[Recorded | Run] = []
    for start in range(0, len(events), 7):
        scan.receive(delivered(events[start : start + 7]))
        (_, bodies, *_, odd), before = runs.take(scan)
        assert odd == []
        for body, run in zip(bodies, before, strict=True):
            parts += [] if run is None else [Run(key=key_of(run.subject), core=run)]
            parts.append(decode(body))
        scan.restart()
    return parts + [Run(key=key_of(run.subject), core=run) for run in runs.rest()]


def folded(parts: Iterable[Recorded | Run], events: Sequence[Recorded]) -> Context:
    """Return the state after *parts*, which are *events*."""
    builder = RunBuilder()
    for part in parts:
        if isinstance(part, Run):
            builder.take(part)
        else:
            advance(builder, part, earlier=events)
    return builder.freeze()


def appended(items: Iterable[Item], encoding: str) -> list[Recorded]:
    """Return the events of a session that appends *items*."""
    facts: list[Fact] = [SessionOpened(window=WIDE, encoding=encoding), *(ItemAppended(item=item) for item in items)]
    start = datetime(2024, 2, 28, 23, 59, 59, tzinfo=UTC)
    times = [start + timedelta(microseconds=at * 300_000) for at in (0, 3, 2, 9, 1)]
    drafts = [Draft(id=f"d{at}", at=times[at % 5], actor="test", data=fact) for at, fact in enumerate(facts)]
    return record(drafts, key=KEY, head=Head())


@law(150)
@given(st.lists(ITEMS, min_size=1, max_size=12), st.sampled_from([*ENCODINGS, *RECONSTRUCTIONS]))
def test_a_run_becomes_what_its_events_become(items: list[Item], encoding: str) -> None:
    """Whatever items a session appended, folding them in runs gives the very state that folding each gives."""
    events = appended(items, encoding)
    context, expected = folded(in_runs(events), events), fold(events)
    assert context == expected
    assert encode_context(context) == encode_context(expected)


@law(60)
@given(stories(*SAID, *CHANGED, *WORKED, at_least=5, at_most=40))
def test_a_life_in_runs_is_the_same_life(story: Story) -> None:
    """Whatever else happens between the items of a session, its state is the same when they are folded in runs."""
    parts = in_runs(story.events)
    assert sum(len(part.core) if isinstance(part, Run) else 1 for part in parts) == len(story.events)
    assert encode_context(folded(parts, story.events)) == encode_context(fold(story.events))


def test_a_plain_session_is_one_run() -> None:
    """Where items follow each other, the core takes them all: it is not the careful way that gives the same."""
    items: list[Item] = [
        Message(role="user", content=(Text("hello"),)),
        ToolCall(call_id="c", name="run", arguments="{}"),
    ] * 50
    opened, run = in_runs(appended(items, "o200k_base"))
    assert isinstance(opened, Recorded)
    assert isinstance(run, Run)
    assert (run.first_seq, run.end.seq, len(run.core)) == (2, 101, 100)


def test_a_run_that_does_not_follow_is_refused() -> None:
    """A run whose first event is not the next one is never folded."""
    events = appended([Message(role="user", content=(Text("hello"),))] * 3, "o200k_base")
    opened, run = in_runs(events)
    assert isinstance(opened, Recorded)
    assert isinstance(run, Run)
    builder = RunBuilder()
    builder.apply(opened)
    builder.take(run)
    with pytest.raises(CorruptLogError, match="expected events that follow"):
        builder.take(run)
