"""Real sessions of real agents, where they are at hand: nothing is lost, everything is written again as it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retold.events.facts import HistoryEdited, ItemAppended, UsageReported
from retold.events.items import Form, Item, ToolCall, ToolResult
from retold.formats import (
    Happened,
    Imported,
    Problem,
    Start,
    detect_forms,
    read_transcript,
    render,
    split_lines,
    to_items,
)

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_FORMS: tuple[Form, ...] = ("chat", "responses", "anthropic")
_AGENTS = (
    "codex",
    "claude-code",
    "claude-code-subagents",
    "claude-code-web",
    "tau-bench",
    "swe-agent",
    "mini-swe-agent",
)

pytestmark = [
    pytest.mark.skipif(not _DATA.is_dir(), reason="../shared/data is not at hand: real transcripts are not shipped"),
    pytest.mark.slow,
]


def _files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (_DATA / folder).rglob("*") if path.is_file())


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:])[-60:]


def _import(path: Path) -> list[Imported]:
    with path.open("rb") as file:
        chunks: Iterator[bytes] = iter(lambda: file.read(1 << 16), b"")
        return list(read_transcript(split_lines(chunks), name=path.name))


def _appended(imported: list[Imported]) -> list[Item]:
    facts = [one.fact for one in imported if isinstance(one, Happened)]
    return [fact.item for fact in facts if isinstance(fact, ItemAppended)]


def _errors(imported: list[Imported]) -> list[Problem]:
    return [one for one in imported if isinstance(one, Problem) and one.severity == "error"]


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _codex_context(path: Path) -> list[dict[str, Any]]:
    held = [record["payload"] for record in _records(path) if record["type"] == "response_item"]
    return [payload for payload in held if payload["type"] != "ghost_snapshot"]


def _claude_context(path: Path) -> list[dict[str, Any]]:
    held = [record for record in _records(path) if record["type"] in ("user", "assistant")]
    return [record["message"] for record in held if not record.get("isCompactSummary")]


@pytest.mark.parametrize("path", _files("codex"), ids=_name)
def test_every_response_item_of_a_rollout_becomes_one_item(path: Path) -> None:
    """Counting the rollout's context records by hand gives the number of items, and no record is a problem."""
    imported = _import(path)
    assert _errors(imported) == []
    assert len(_appended(imported)) == len(_codex_context(path))
    compactions = sum(record["type"] == "compacted" for record in _records(path))
    edits = [one for one in imported if isinstance(one, Happened) and isinstance(one.fact, HistoryEdited)]
    assert len(edits) == compactions


@pytest.mark.parametrize("path", _files("codex"), ids=_name)
def test_a_rollout_is_written_again_as_it_was(path: Path) -> None:
    """The items of a whole session, written in Responses form, are the very records that Codex wrote."""
    assert render(_appended(_import(path)), "responses") == _codex_context(path)


@pytest.mark.parametrize("path", _files("claude-code", "claude-code-subagents"), ids=_name)
def test_every_message_record_of_claude_code_becomes_one_item(path: Path) -> None:
    """Claude Code writes one block a line, so its message records are its items, but for a compaction's summary."""
    imported = _import(path)
    assert _errors(imported) == []
    assert len(_appended(imported)) == len(_claude_context(path))
    ids = {message["id"] for message in _claude_context(path) if message["role"] == "assistant"}
    usages = [one for one in imported if isinstance(one, Happened) and isinstance(one.fact, UsageReported)]
    assert 0 < len(usages) <= len(ids)


@pytest.mark.parametrize("path", _files("claude-code", "claude-code-subagents"), ids=_name)
def test_a_message_of_claude_code_is_written_again_as_it_was(path: Path) -> None:
    """Every record's role and content come back the same, block by block."""
    for item, message in zip(_appended(_import(path)), _claude_context(path), strict=True):
        assert render([item], "anthropic") == [{"role": message["role"], "content": message["content"]}]


@pytest.mark.parametrize("path", _files("tau-bench"), ids=_name)
def test_a_trajectory_is_written_again_as_it_was(path: Path) -> None:
    """The items of a whole Chat conversation, written in Chat form, are the very messages that were stored."""
    tasks = json.loads(path.read_text())
    imported = _import(path)
    assert _errors(imported) == []
    assert len({one.session for one in imported if isinstance(one, Start)}) == len(tasks)
    assert render(_appended(imported), "chat") == [message for task in tasks for message in task["traj"]]
    for task in tasks:
        form = detect_forms(task["traj"])
        assert form == "chat"
        assert render([item for message in task["traj"] for item in to_items(message, form=form)], form) == task["traj"]


@pytest.mark.parametrize("path", _files(*_AGENTS), ids=_name)
def test_every_result_follows_its_call(path: Path) -> None:
    """No result in these sessions stands without its call before it, in its own session."""
    calls: set[str] = set()
    for one in _import(path):
        if isinstance(one, Start):
            calls.clear()
        item = one.fact.item if isinstance(one, Happened) and isinstance(one.fact, ItemAppended) else None
        if isinstance(item, ToolCall):
            calls.add(item.call_id)
        if isinstance(item, ToolResult):
            assert item.call_id in calls


@pytest.mark.parametrize("path", _files(*_AGENTS), ids=_name)
def test_real_agents_transcripts_hold_no_errors(path: Path) -> None:
    """Whatever these agents write is understood, or known to be no context."""
    imported = _import(path)
    assert _errors(imported) == []
    assert len(_appended(imported)) > 0


@pytest.mark.parametrize("path", _files("."), ids=lambda path: str(path.relative_to(_DATA))[-60:])
def test_no_file_of_any_tool_breaks_the_import(path: Path) -> None:
    """Files of tools that are not supported, malformed ones too, give problems with line numbers, never a crash."""
    imported = _import(path)
    assert all(one.line >= 1 and one.reason for one in imported if isinstance(one, Problem))
    items = _appended(imported)
    for form in _FORMS:
        json.dumps(render(items, form), allow_nan=False).encode()
