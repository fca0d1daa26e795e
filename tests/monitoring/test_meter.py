"""What a worker tells is counted as it was done, and names no session."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.laws.lives import long_life, said
from tests.laws.logs import HandClock, ScriptedSummarizer, outcome, read, write
from tests.laws.stories import KEY

from retold.events import HistoryReplaced, SessionKey, SummaryWritten
from retold.log import MemoryLog
from retold.log.names import partition
from retold.monitoring.meter import Meter
from retold.monitoring.metrics import METRICS, exported_names
from retold.monitoring.models import MeteredSummarizer
from retold.ports import Log
from retold.summarizers import ExtractiveSummarizer
from retold.telemetry import SessionSize
from retold.worker import Worker


def values(meter: Meter) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample that is exported, by its name and labels."""
    text = generate_latest(meter.metrics.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def summed(meter: Meter, name: str, **labels: str) -> float:
    """Return the sum of what is exported under *name* with these *labels*."""
    return sum(value for (found, has), value in values(meter).items() if found == name and labels.items() <= set(has))


async def _worked(log: Log, meter: Meter, *, events: int = 60) -> None:
    await write(log, KEY, long_life(length=events), clock=HandClock("agent"))
    await Worker(log, HandClock("worker"), ExtractiveSummarizer(), telemetry=meter).drain()


def test_what_was_done_is_counted() -> None:
    """Events, compactions, tokens and published histories come out as the log has them."""

    async def run() -> None:
        log, meter = MemoryLog(), Meter(HandClock("meter"))
        await _worked(log, meter)
        recorded = await read(log, KEY)
        facts = [one.event.data for one in recorded]
        replaced = [fact for fact in facts if isinstance(fact, HistoryReplaced)]
        assert len(replaced) > 1
        assert summed(meter, "retold_events_folded_total") == len(recorded)
        assert summed(meter, "retold_compactions_total", outcome="replaced") == len(replaced)
        assert summed(meter, "retold_compaction_seconds_count") == len(replaced)
        before, after = (
            sum(getattr(fact.receipt, name) for fact in replaced) for name in ("tokens_before", "tokens_after")
        )
        assert summed(meter, "retold_compaction_before_tokens_total") == before
        assert summed(meter, "retold_compaction_after_tokens_total") == after
        assert summed(meter, "retold_histories_published_total") >= 1
        assert summed(meter, "retold_append_to_published_seconds_count") >= 1
        assert summed(meter, "retold_sessions_live") == 1
        assert summed(meter, "retold_lag_events") == 0

    asyncio.run(run())


def test_telling_changes_nothing() -> None:
    """A worker that is watched writes the history that one writes which is not."""

    async def run() -> None:
        plain, watched = MemoryLog(), MemoryLog()
        await _worked(watched, Meter(HandClock("meter")))
        await write(plain, KEY, long_life(length=60), clock=HandClock("agent"))
        await Worker(plain, HandClock("worker"), ExtractiveSummarizer()).drain()
        assert await outcome(plain, KEY) == await outcome(watched, KEY)

    asyncio.run(run())


def test_no_session_is_named_in_a_metric() -> None:
    """No label and no value of one holds a tenant's or a session's name, and every name is in the table."""

    async def run() -> None:
        log, meter = MemoryLog(), Meter(HandClock("meter"))
        named = SessionKey("tenant-7c1e", "session-7c1e")
        await write(log, named, long_life(length=60), clock=HandClock("agent"))
        await Worker(log, HandClock("worker"), ExtractiveSummarizer(), telemetry=meter).drain()
        assert "7c1e" not in generate_latest(meter.metrics.registry).decode()
        assert {name for name, _ in values(meter)} <= exported_names()

    asyncio.run(run())


def test_names_follow_the_conventions() -> None:
    """Counters end in _total, and every name begins with the program's and ends in a unit where there is one."""
    for metric in METRICS:
        assert metric.name.startswith("retold_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.text.endswith(".")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert not {"session", "tenant"} & set(metric.labels)
        assert not metric.name.endswith(("_ms", "_milliseconds", "_kb", "_percent"))


def test_a_summarizer_that_fails_is_counted_by_the_kind_of_its_error() -> None:
    """A failing model shows in calls, failures and seconds; its error's text is nowhere."""

    async def run() -> None:
        log, meter = MemoryLog(), Meter(HandClock("meter"))
        failing = MeteredSummarizer(ScriptedSummarizer(ConnectionError("the transcript")), meter)
        await write(log, KEY, long_life(length=60), clock=HandClock("agent"))
        await Worker(log, HandClock("worker"), failing, telemetry=meter).drain()
        summaries = [one for one in await read(log, KEY) if isinstance(one.event.data, SummaryWritten)]
        assert summaries
        calls = summed(meter, "retold_summarizer_calls_total", summarizer="scripted")
        assert calls == len(summaries)
        assert summed(meter, "retold_summarizer_failures_total", reason="ConnectionError") == calls
        assert summed(meter, "retold_summarizer_seconds_count") == calls
        assert "the transcript" not in generate_latest(meter.metrics.registry).decode()

    asyncio.run(run())


def _size(key: SessionKey, seq: int) -> SessionSize:
    return SessionSize(key=key, seq=seq, tokens=1, limit_tokens=2, pre_rot_tokens=2, version=0)


def test_lag_counts_what_waits() -> None:
    """Events that were appended and not folded are the lag; a session that was not read before counts as one."""
    meter, other = Meter(HandClock("meter")), SessionKey(KEY.tenant, "other")
    meter.brought_up(_size(KEY, 10), events=10)
    meter.woke(KEY, 10)
    assert meter.lag.sessions == 0
    meter.woke(KEY, 14)
    meter.woke(other, 1000)
    meter.woke(KEY, 15)
    assert (meter.lag.events, meter.lag.sessions) == (6, 2)
    assert meter.lag.seconds > 0
    meter.brought_up(_size(KEY, 14), events=4)
    assert (meter.lag.events, meter.lag.sessions) == (2, 2)
    meter.brought_up(_size(KEY, 15), events=1)
    meter.set_aside(other)
    meter.woke(other, 1001)
    assert (meter.lag.events, meter.lag.sessions, meter.quarantined) == (0, 0, 1)
    meter.taken_back(other)
    meter.woke(other, 1001)
    assert meter.lag.sessions == 1


def test_a_clock_that_is_behind_gives_no_negative_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent whose clock is an hour ahead of the worker's makes no delay below zero."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock("meter")
        meter = Meter(clock)
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now - timedelta(hours=1))
        await _worked(log, meter)
        assert summed(meter, "retold_append_to_published_seconds_count") >= 1
        assert summed(meter, "retold_append_to_published_seconds_sum") == 0

    asyncio.run(run())


def test_a_damaged_session_is_counted_apart() -> None:
    """A session that was set aside shows as quarantined, and the others are worked on."""

    async def run() -> None:
        log, meter = MemoryLog(), Meter(HandClock("meter"))
        await write(log, KEY, said([]) + long_life(length=20)[1:], clock=HandClock("agent"))
        log.lose(KEY, 3)
        await Worker(log, HandClock("worker"), ExtractiveSummarizer(), telemetry=meter).drain()
        assert summed(meter, "retold_sessions_quarantined") == 1
        assert summed(meter, "retold_sessions_live") == 0

    asyncio.run(run())


def test_a_session_that_goes_to_another_worker_is_forgotten() -> None:
    """What a worker no longer holds a lease on counts in none of its figures."""
    meter, stays = Meter(HandClock("meter")), SessionKey(KEY.tenant, "stays")
    assert partition(stays) != partition(KEY)
    for key in (KEY, stays):
        meter.brought_up(_size(key, 3), events=3)
        meter.woke(key, 5)
    meter.let_go(frozenset({partition(KEY)}))
    assert [size.key for size in meter.sizes] == [stays]
    assert (meter.lag.sessions, meter.lag.events) == (1, 2)
    meter.woke(KEY, 5)
    assert meter.lag.events == 3
