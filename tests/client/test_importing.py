"""Importing transcripts: an import that was cut off goes on, and gives the session that an undisturbed one gives."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any

import pytest
from tests.laws.logs import FailingLog, HandClock, Killed, worker_on
from tests.laws.texts import TEXTS

from retold.client import Client, ImportReport, import_transcript, importing
from retold.errors import CorruptLogError, InputError, UnavailableError
from retold.events import Recorded, SessionKey
from retold.fold import History, history_of
from retold.formats import split_lines
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import load, verify


def _chat(turns: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "start"}]
    for number in range(turns):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": "x", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": TEXTS[number % len(TEXTS)]})
    return messages


def _said(role: str, text: str) -> dict[str, Any]:
    kind = "input_text" if role == "user" else "output_text"
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    return {"timestamp": "2026-01-01T00:00:00Z", "type": "response_item", "payload": item}


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "type": "event_msg", "payload": {"type": kind, **fields}}


def _codex(turns: int) -> list[dict[str, Any]]:
    """Return a Codex transcript in which every third turn is rolled back."""
    meta = {"id": "0198-a", "timestamp": "2026-01-01T00:00:00Z", "cwd": "/", "cli_version": "1"}
    records = [{"timestamp": "2026-01-01T00:00:00Z", "type": "session_meta", "payload": meta}]
    for number in range(turns):
        records += [_said("user", f"ask {number}"), _event("user_message", message=f"ask {number}")]
        records += [_said("assistant", TEXTS[number % len(TEXTS)] or "-")]
        if number % 3 == 2:
            records += [_event("thread_rolled_back", num_turns=1)]
    return records


_TRANSCRIPTS = {"chat": _chat(30), "codex": _codex(30)}


async def _imported(log: Log, records: Iterable[dict[str, Any]], *, name: str = "clock") -> list[ImportReport]:
    body = "".join(json.dumps(record) + "\n" for record in records).encode()
    return await import_transcript(Client(log, HandClock(name)), split_lines([body]), name="a.jsonl", session="s")


async def _history(log: Log) -> History:
    key = SessionKey(tenant="default", session="s")
    assert (await verify(log, key)).ok
    return history_of(await load(log, key))


@pytest.mark.parametrize("kind", sorted(_TRANSCRIPTS))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_import_that_was_cut_off_goes_on_where_it_ended(
    kind: str, *, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever append the import died at, importing the same file again gives the same session, nothing twice."""
    monkeypatch.setattr(importing, "BATCH_EVENTS", 7)
    records = _TRANSCRIPTS[kind]

    async def run() -> None:
        whole = MemoryLog()
        (report,) = await _imported(whole, records)
        assert report.ok
        expected = await _history(whole)
        for at in range(1, 100):
            log = MemoryLog()
            failing = FailingLog(log, at=at, after=after, error=Killed())
            with suppress(Killed):
                await _imported(failing, records)
            if not failing.has_failed:
                return
            (again,) = await _imported(log, records, name="again")
            assert again.present + again.appended == report.appended
            assert (await _history(log)).entries == expected.entries

    asyncio.run(run())


@pytest.mark.parametrize("kind", sorted(_TRANSCRIPTS))
def test_importing_twice_changes_nothing(kind: str) -> None:
    """A file that was imported already is passed over, and its report says so."""

    async def run() -> None:
        log = MemoryLog()
        (first,) = await _imported(log, _TRANSCRIPTS[kind])
        before = await _history(log)
        await worker_on(log).drain()
        (second,) = await _imported(log, _TRANSCRIPTS[kind], name="again")
        assert (second.appended, second.present) == (0, first.appended)
        assert (await _history(log)).entries == before.entries

    asyncio.run(run())


def test_a_file_that_says_something_else_is_refused_before_anything_is_written() -> None:
    """Importing another conversation under the same name names the first line that differs, and writes nothing."""

    async def run() -> None:
        log = MemoryLog()
        await _imported(log, _chat(5))
        before = await _history(log)
        other = _chat(5)
        other[3] = {"role": "user", "content": "something else"}
        (report,) = await _imported(log, other, name="again")
        assert (report.ok, report.appended) == (False, 0)
        (problem,) = report.problems
        assert problem.line == 4
        assert "expected line 4 to be what session 's' holds" in problem.reason
        assert (await _history(log)) == before

    asyncio.run(run())


def test_an_import_that_the_server_was_away_for_says_so() -> None:
    """If the server goes away, I get an error that says so, and can repeat the import."""

    async def run() -> None:
        log = MemoryLog()
        with pytest.raises(UnavailableError):
            await _imported(FailingLog(log, at=2, after=False, error=UnavailableError("away")), _chat(5))
        (report,) = await _imported(log, _chat(5), name="again")
        assert report.ok
        assert len((await _history(log)).items) == 16

    asyncio.run(run())


def test_a_file_without_a_session_is_never_well() -> None:
    """A report without a session is not ok, whatever was told about the file."""
    assert not ImportReport(session=None, kind="unknown", appended=0, present=0, problems=()).ok


def _conversations(**said: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"id": name, "messages": [{"role": "user", "content": text} for text in texts]} for name, texts in said.items()
    ]


async def _all_imported(log: Log, records: list[dict[str, Any]]) -> dict[str, ImportReport]:
    body = "".join(json.dumps(record) + "\n" for record in records).encode()
    reports = await import_transcript(Client(log, HandClock()), split_lines([body]), name="f.jsonl")
    return {report.session.session: report for report in reports if report.session is not None}


def test_a_conversation_that_differs_does_not_stop_the_others_of_its_file() -> None:
    """Of a file with several conversations, the one that differs is named and refused, the others are imported."""

    async def run() -> None:
        log = MemoryLog()
        await _all_imported(log, _conversations(a=("a1",), b=("b1",)))
        reports = await _all_imported(log, _conversations(a=("a1", "a2"), b=("other",), c=("c1",)))
        assert {name: (one.ok, one.appended, one.present) for name, one in reports.items()} == {
            "f-a": (True, 1, 1),
            "f-b": (False, 0, 0),
            "f-c": (True, 1, 0),
        }
        (problem,) = reports["f-b"].problems
        assert problem.line == 2
        assert "f-b" in problem.reason

    asyncio.run(run())


class _DamagedLog(MemoryLog):
    """Hold one session that cannot be read."""

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Refuse the session ``f-b``."""
        if key.session == "f-b":
            raise CorruptLogError("flipped", session=key.session, seq=1)
        async for recorded in super().read(key, after=after, until=until):
            yield recorded


def test_a_damaged_session_does_not_stop_the_others_of_a_file() -> None:
    """When the log holds one of a file's conversations damaged, that one is named and the others are imported."""

    async def run() -> None:
        reports = await _all_imported(_DamagedLog(), _conversations(a=("a1",), b=("b1",), c=("c1",)))
        assert {name: one.ok for name, one in reports.items()} == {"f-a": True, "f-b": False, "f-c": True}

    asyncio.run(run())


def _claude_code(*models: str) -> list[dict[str, Any]]:
    """Return a Claude Code transcript of an answer a model, each with its usage."""
    records: list[dict[str, Any]] = []
    for number, model in enumerate(models):
        usage = {"input_tokens": 20 + number, "output_tokens": 3}
        said = [{"type": "text", "text": "It's done."}]
        answer = {"id": f"m{number}", "role": "assistant", "model": model, "content": said, "usage": usage}
        ids = {"sessionId": "s-1", "uuid": f"u{number}"}
        records.append({"type": "user", **ids, "message": {"role": "user", "content": "Do it."}})
        records.append({"type": "assistant", **ids, "uuid": f"a{number}", "message": answer})
    return records


@pytest.mark.parametrize(
    ("models", "encoding"),
    [
        (["claude-opus-4-5-20251101", "claude-opus-5"], "claude-3"),
        (["claude-3-5-sonnet-20241022"], "claude-3"),
        (["claude-sonnet-4-20250514"], "claude-3"),
        (["claude-haiku-4.5"], "claude-3"),
        (["anthropic.claude-opus-4-7-v1:0"], "claude-4.7"),
        (["claude-opus-4-8"], "claude-4.8"),
        (["claude-fable-5"], "claude-4.8"),
        (["claude-opus-12-1"], "claude-4.8"),
        (["claude-2.1"], "o200k_base"),
        (["gpt-5"], "o200k_base"),
        ([""], "o200k_base"),
    ],
    ids=str,
)
def test_a_session_is_counted_as_the_model_that_it_was_held_with(models: list[str], encoding: str) -> None:
    """An imported session of a Claude model is counted by its reconstruction, from the first event on."""

    async def run() -> None:
        log = MemoryLog()
        (report,) = await _imported(log, _claude_code(*models))
        assert report.ok
        assert (await load(log, SessionKey("default", "s"))).encoding == encoding
        (again,) = await _imported(log, _claude_code(*models))
        assert (again.appended, again.ok) == (0, True)

    asyncio.run(run())


def test_whoever_imports_may_name_the_encoding() -> None:
    """A named encoding goes before what the transcript says; one that is not known is refused."""

    async def run() -> None:
        log = MemoryLog()
        lines = list(split_lines([json.dumps(record).encode() + b"\n" for record in _claude_code("claude-opus-5")]))
        client = Client(log, HandClock("clock"))
        await import_transcript(client, lines, name="a.jsonl", session="s", encoding="cl100k_base")
        assert (await load(log, SessionKey("default", "s"))).encoding == "cl100k_base"
        with pytest.raises(InputError, match="expected an encoding of o200k_base"):
            await import_transcript(client, lines, name="a.jsonl", session="t", encoding="claude")

    asyncio.run(run())
