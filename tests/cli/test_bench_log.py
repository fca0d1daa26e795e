"""The benchmarks of the log tell what they found, with whatever peers are there, and notice a wrong answer."""

import asyncio
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest
from msgspec import structs

from retold.cli import bench_history, bench_rebuild, bench_stream
from retold.cli.bench_changes import changes
from retold.cli.bench_fleet import frames, names, plain_headers, prepared, texts
from retold.cli.bench_openhands import write_events
from retold.cli.bench_recorders import LangGraph, plain
from retold.cli.bench_session import Message, in_batches, make_conversation
from retold.cli.bench_store import served, weigh
from retold.cli.bench_wire import Frame, Wire
from retold.client import Client
from retold.events import SessionKey
from retold.fold import History
from retold.log.names import EVENTS, EVENTS_ALL
from retold.replay import States, states
from retold.wiring import connect

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

TINY_REPLAY = ("--messages", "100", "--disk-messages", "24", "--disk-tokens", "1200", "--rounds", "1", "--reads", "2")
TINY_PIPELINE = ("--window", "8", "--appends", "16", "--singles", "10", "--events", "200", "--rounds", "1")


@pytest.mark.slow
def test_bench_replay_gives_one_document_with_every_case(retold: Retold) -> None:
    """I get one JSON document: reads warm and cold, sizes on disk, peers or why they are not there, verdicts."""
    done = retold("bench", "replay", *TINY_REPLAY, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    cases = {(shown["case"], shown["racer"]) for shown in found["timings"]}
    assert {(bench_history.case(100, state, "p50"), "retold") for state in ("warm", "new client")} <= cases
    assert {(bench_rebuild.DISK, "retold"), (bench_rebuild.DISK, "openhands"), (bench_rebuild.LAST, "retold")} <= cases
    peers = {peer["name"]: peer for peer in found["peers"]}
    for name, module in (("langgraph", "langgraph"), ("eventsourcing", "eventsourcing")):
        there = importlib.util.find_spec(module) is not None
        assert there == ((bench_rebuild.RANDOM, name) in cases)
        assert there or "pip install" in peers[name]["skipped"]
    verdicts = {figure["name"]: figure["verdict"] for figure in found["figures"]}
    assert set(verdicts.values()) <= {"aim met", "required met", "missed", "not measured"}


@pytest.mark.slow
def test_bench_pipeline_shows_every_racer(retold: Retold) -> None:
    """I see Retold beside nats-py and a bare socket, with and without headers, and how fast a stream is folded."""
    done = retold("bench", "pipeline", *TINY_PIPELINE)
    assert done.returncode == 0, done.stderr
    for words in (
        "retold, sessions",
        "publish_async, headers",
        "raw socket, headers",
        "one by one, p99",
        "fold of the whole stream, CPU",
    ):
        assert words in done.stdout


@pytest.mark.slow
def test_a_wrong_profile_is_named(retold: Retold) -> None:
    """A profile that there is none of is wrong usage."""
    done = retold("bench", "pipeline", "--profile", "reckless")
    assert done.returncode == 2
    assert "reckless" in done.stderr


def test_a_conversation_is_the_same_for_the_same_seed() -> None:
    """Figures of two machines are of the same messages in the same turns, every call with its result."""
    first, again, other = (make_conversation(messages=60, budget_tokens=3_000, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.turns != other.turns
    assert 60 <= len(first.messages) <= 62
    assert 1_500 < first.tokens < 6_000
    asked = [call["id"] for message in first.messages for call in message.get("tool_calls") or ()]
    assert asked == [message["tool_call_id"] for message in first.messages if message["role"] == "tool"]
    assert [message for batch in in_batches(first.turns, at_least=20) for message in batch] == first.messages


def _message(text: str) -> Message:
    return {"role": "user", "content": text}


def test_changes_give_each_state_from_the_one_before() -> None:
    """A peer that makes the changes has every state, however messages came and went; where only some came, it adds."""
    a, b, c, d, e = map(_message, "abcde")
    states = [[a, b], [a, b, c], [a, d, c, e], [d], []]
    present: list[Message] = []
    for made, state in zip(changes(states), states, strict=True):
        for change in made:
            present[change.first : change.last] = change.new
        assert present == state
    assert [all(change.adds_only for change in made) for made in changes(states)] == [True, True, False, False, False]


def test_the_files_of_openhands_hold_every_event(tmp_path: Path) -> None:
    """What is weighed for OpenHands is one file an event, in order, and a condensation that names what left."""
    turns = [[_message("one"), {"role": "assistant", "content": "two"}], [_message("three")]]
    write_events(tmp_path, turns, [turns[0], [_message("summary"), _message("three")]])
    files = sorted((tmp_path / "events").iterdir())
    events = [json.loads(file.read_bytes()) for file in files]
    assert [event["kind"] for event in events] == ["MessageEvent", "MessageEvent", "MessageEvent", "Condensation"]
    assert events[3]["forgotten_event_ids"] == [events[0]["id"], events[1]["id"]]
    assert events[3]["summary"] == "summary"
    assert all(file.name.endswith(f"-{event['id']}.json") for file, event in zip(files, events, strict=True))
    assert weigh(tmp_path).size_bytes == sum(file.stat().st_size for file in tmp_path.rglob("*.json"))


def test_messages_are_compared_by_what_they_say() -> None:
    """Spellings that mean the same are the same; another word is not."""
    ours = {"role": "assistant", "content": None, "tool_calls": [_call('{"a": 1}')]}
    theirs = {"role": "assistant", "content": "", "tool_calls": [_call('{"a":1}')], "id": "x"}
    assert plain([ours]) == plain([theirs])
    assert plain([ours]) != plain([ours | {"content": "b"}])
    assert plain([ours]) != plain([ours | {"tool_calls": [_call('{"a": 2}')]}])


def _call(arguments: str) -> dict[str, object]:
    return {"id": "c", "type": "function", "function": {"name": "run", "arguments": arguments}}


def test_a_bare_socket_publishes_what_retold_reads(tmp_path: Path) -> None:
    """The yardstick does the same work: Retold reads the events that it wrote, and sees a refusal as one."""

    async def run() -> None:
        async with served(tmp_path, "fast") as url, connect(url) as client:
            with Wire(url) as wire:
                keys = names(2)
                sessions = prepared(keys, texts(6, size=20, seed=1))
                made = wire.prepare(frames(keys, sessions, base=wire.last_position(EVENTS)))
                assert wire.publish(made, window=3) == 8
                assert wire.publish(made[:2], window=2) == 0  # another append at the same place is refused
                assert [(await client.log.head(key)).seq for key in keys] == [4, 4]
                assert wire.read(EVENTS, subject=EVENTS_ALL, count=8) > 8 * 300
            contexts = (await client.states()).contexts
            assert {key: contexts[key].seq for key in keys} == dict.fromkeys(keys, 4)

    asyncio.run(run())


def test_a_server_that_refuses_is_not_counted_as_one_that_stores(tmp_path: Path) -> None:
    """Messages that nobody stores are not a rate."""

    async def run() -> None:
        async with served(tmp_path, "fast") as url, connect(url):
            with Wire(url) as wire:
                wrong = {"Nats-Expected-Last-Subject-Sequence": "77"}
                made = [Frame("retold.ev.1.t.s", b"{}", wrong), Frame("retold.ev.1.t.u", b"{}")]
                assert wire.publish(wire.prepare(made), window=8) == 1

    asyncio.run(run())


@pytest.mark.slow
def test_a_fold_that_is_wrong_fails_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a session folds to something else than its events say, or is missing, the benchmark says so."""

    async def wrong(client: Client) -> States:
        found = await states(client.log)
        first, second, *_ = sorted(found.contexts)
        found.contexts[first] = structs.replace(found.contexts[first], version=9)
        del found.contexts[second]
        return found

    monkeypatch.setattr(Client, "states", wrong)

    async def run() -> None:
        async with served(tmp_path, "fast") as url:
            found = await bench_stream.fold_race(url, events=300, rounds=1, seed=1)
            assert {difference.case for difference in found.differences} == {"events folded", "a session's context"}

    asyncio.run(run())


@pytest.mark.slow
def test_a_past_state_that_is_wrong_fails_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a read of a past state is not what folding all events gives, the benchmark says so."""

    async def wrong(client: Client, key: SessionKey, seqs: list[int]) -> dict[int, History]:
        history = await (await client.existing(key.session)).history(at=2)
        return dict.fromkeys(seqs, history)

    monkeypatch.setattr(bench_history, "states", wrong)
    found = asyncio.run(bench_history.read_histories(messages=60, profile="fast", rounds=1, reads=4, seed=1))
    states = {difference.case.rpartition(", ")[2] for difference in found.differences}
    assert states >= {"warm", "new client"}


@pytest.mark.slow
def test_a_peer_that_gives_another_state_does_not_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer whose messages differ at some turn is told, and is not timed."""
    if importlib.util.find_spec("langgraph") is None:
        pytest.skip("langgraph is not installed: make bench-peers")
    monkeypatch.setattr(LangGraph, "messages", lambda *_: [_message("wrong")])
    conversation = make_conversation(messages=24, budget_tokens=1_000, seed=1)
    found = asyncio.run(bench_rebuild.rebuild(conversation, profile="fast", rounds=1, seed=1))
    assert {difference.racer for difference in found.differences} == {"langgraph"}
    assert (bench_rebuild.RANDOM, "langgraph") not in {(shown.case, shown.racer) for shown in found.timings}
    assert (bench_rebuild.DISK, "langgraph") in {(shown.case, shown.racer) for shown in found.timings}


@pytest.mark.parametrize("kept", [True, False])
def test_headers_are_left_out_only_where_asked(kept: bool) -> None:  # noqa: FBT001 - a case of the test
    """Publishers that know no expectation send none, and the event's own id and sequence all the same."""
    keys = names(1)
    made = frames(keys, prepared(keys, texts(2, size=5, seed=1)), base=0)
    shown = made if kept else plain_headers(made)
    assert [("Nats-Expected-Last-Subject-Sequence" in frame.headers) for frame in shown] == [kept] * 3
    assert [frame.headers["Retold-Seq"] for frame in shown] == ["1", "2", "3"]
