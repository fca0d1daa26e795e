"""Forks, rewinds, undos, tags, diffs and exports on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import pytest

from retold.events import Head, SessionKey, check_follows, decode

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WINDOW = ("--hard-limit", "4000", "--pre-rot", "3300")
"""Small enough that the transcript is due, and large enough that offloading will do."""


def _json(done: CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_session_is_forked_tagged_rewound_and_compared(retold: Retold, transcript: Path) -> None:
    """I fork a session at a tag, rewind it, and am told what is between the two, what is lost and how to get it."""
    _json(retold("import", transcript, "--session", "s", *WINDOW, "--json"))
    assert _json(retold("tag", "s", "asked", "--at", "3", "--json"))["seq"] == 17
    forked = _json(retold("fork", "s", "--at", "asked", "other", "--json"))
    past = _json(retold("history", "s", "--at", "asked", "--json"))
    assert (forked["session"], forked["seq"], forked["hash"]) == ("other", 1, past["hash"])
    assert _json(retold("append", "other", "--text", "Try again.", "--json"))["entries"] == 3
    shown, parent = (_json(retold("show", name, "--json")) for name in ("other", "s"))
    assert (shown["parent"]["session"], shown["parent"]["seq"], shown["entries"]) == ("s", 3, 3)
    assert parent["tags"] == {"asked": 3}
    between = _json(retold("diff", "s", "16", "--with", "other", "--json"))
    assert [one["item"] for one in between["added"]] == ["i3"]
    assert {one["how"] for one in between["removed"]} == {"elsewhere"}
    assert _json(retold("rewind", "s", "--to", "asked", "--json"))["entries"] == 2
    told = retold("diff", "s", "16")
    assert "rewound" in told.stdout
    assert "back by `retold rewind s --to 16`" in told.stdout
    columns = [line.split() for line in retold("diff", "s", "16", "--side-by-side").stdout.splitlines()]
    assert "i1 Never touch main. = i1 Never touch main.".split() in columns
    assert all(verdict["ok"] for verdict in _json(retold("verify", "--json")))


def test_a_compaction_is_undone_and_an_item_restored(retold: Retold, transcript: Path) -> None:
    """After a compaction the diff names what went; restored or undone, the originals are back byte for byte."""
    lines = transcript.read_text(encoding="utf-8").splitlines()
    told = [line.replace("test 1 !=", f"test {number} !=") for number, line in enumerate(lines)]
    transcript.write_text("\n".join(told), encoding="utf-8")
    retold("import", transcript, "--session", "s", *WINDOW)
    before = _json(retold("history", "s", "--json"))
    assert retold("worker", "--once").returncode == 0
    compacted = _json(retold("diff", "s", "16", "--json"))
    assert [one["tier"] for one in compacted["compactions"]] == ["offload"]
    lost = next(one for one in compacted["lost"] if one["back"] == "restore")
    assert f"`retold restore s {lost['item']}`" in retold("diff", "s", "16").stdout
    restored = _json(retold("restore", "s", lost["item"], "--json"))
    assert lost["item"] not in [one["item"] for one in _json(retold("diff", "s", "16", "--json"))["lost"]]
    undone = _json(retold("undo", "s", "--json"))
    assert undone["seq"] == restored["seq"] + 1
    assert undone["hash"] == before["hash"]
    assert retold("worker", "--once").returncode == 0
    assert _json(retold("history", "s", "--json"))["seq"] == undone["seq"]


def test_messages_are_appended_and_a_session_exported(retold: Retold, tmp_path: Path) -> None:
    """I append lines or a list, and get the same conversation out again, and events whose chain holds."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"role":"user","content":"one"}\n\n{"role":"assistant","content":"two"}\n', encoding="utf-8")
    listed = tmp_path / "list.json"
    listed.write_text('[{"role":"user","content":"three"}]', encoding="utf-8")
    assert _json(retold("append", "s", lines, "--json"))["entries"] == 2
    assert retold("append", "s", listed, "--expected", "2").returncode == 1
    assert _json(retold("append", "s", listed, "--expected", "3", "--json"))["seq"] == 4
    chat = [json.loads(line) for line in retold("export", "s", "--format", "chat").stdout.splitlines()]
    assert [(one["role"], one["content"]) for one in chat] == [("user", "one"), ("assistant", "two"), ("user", "three")]
    items = [json.loads(line) for line in retold("export", "s", "--at", "3").stdout.splitlines()]
    assert [item["id"] for item in items] == ["i1", "i2"]
    head = Head()
    for line in retold("export", "s", "--format", "events").stdout.splitlines():
        recorded = decode(line.encode())
        check_follows(recorded, head=head, key=SessionKey(tenant="default", session="s"))
        head = recorded.head
    assert head.seq == 4


@pytest.mark.parametrize(
    "words",
    [
        ("fork", "nobody", "new"),
        ("rewind", "s"),
        ("diff", "nobody", "1"),
        ("append", "s", "file", "--text", "both"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_said_to_be_wrong(retold: Retold, words: tuple[str, ...]) -> None:
    """A command on a session or a file that is not there ends with 2 and one sentence."""
    done = retold(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("given", "words", "code"),
    [
        ('{"role":"user","content":"one"}\n{"role":"nobody"}\n', (), 2),
        ('{"role":"user","content":"one"}', ("--expected", "later"), 2),
        ('{"role":"user","content":"one"}', ("--expected", "-1"), 2),
        ('{"role":"user","content":"one"}', ("--expected", "3"), 1),
        ("[]", (), 2),
    ],
    ids=["no message", "no word", "below 0", "elsewhere", "nothing"],
)
def test_what_is_refused_opens_no_session(retold: Retold, given: str, words: tuple[str, ...], code: int) -> None:
    """A message or an expectation that does not hold is refused before a session is opened for it."""
    done = retold("append", "new", *words, given=given)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert _json(retold("sessions", "--json")) == []


def test_where_a_session_is_to_end_is_said_as_in_python(retold: Retold) -> None:
    """`--expected` takes a sequence, any or none; a session that is new is opened with its first messages as one."""
    assert _json(retold("append", "s", "--text", "one", "--expected", "none", "--json"))["seq"] == 2
    taken = retold("append", "s", "--text", "one", "--expected", "none")
    assert (taken.returncode, "it ends at 2" in taken.stderr) == (1, True)
    assert _json(retold("append", "s", "--text", "two", "--expected", "any", "--json"))["seq"] == 3
    assert _json(retold("append", "s", "--text", "three", "--expected", "3", "--json"))["seq"] == 4


def test_what_is_no_message_is_named_by_its_line(retold: Retold, tmp_path: Path) -> None:
    """A broken line is named by its number, and nothing is appended."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"role":"user","content":"one"}\n{"role":\n', encoding="utf-8")
    done = retold("append", "s", lines)
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert _json(retold("sessions", "--json")) == []
