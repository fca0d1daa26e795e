"""A model's history compressed and opened again on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _json(done: CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_session_is_compressed_and_opened_again(retold: Retold, transcript: Path, tmp_path: Path) -> None:
    """I compress two ranges, am told what it frees, see what became of the items, and have them back byte for byte."""
    _json(retold("import", transcript, "--session", "s", "--json"))
    before = _json(retold("history", "s", "--json"))
    ranges = tmp_path / "ranges.json"
    asked = [{"first": "i3", "last": "i6", "messages": ["two runs"]}, {"first": "i7", "last": "i8", "messages": "one"}]
    ranges.write_text(json.dumps({"ranges": asked}), encoding="utf-8")
    tried = _json(retold("compress", "s", ranges, "--dry-run", "--json"))
    assert tried["seq"] is None
    done = _json(retold("compress", "s", ranges, "--json"))
    assert done == {**tried, "seq": before["seq"] + 1}
    assert [(one["block"], len(one["items"])) for one in done["blocks"]] == [("c16", 4), ("c17", 2)]
    assert done["receipt"]["tokens_after"] < done["receipt"]["tokens_before"]
    shown = _json(retold("show", "s", "--json"))["compactions"]
    assert [(one["tier"], one["receipt"]["tokens_after"]) for one in shown] == [
        ("edit", shown[0]["receipt"]["tokens_after"])
    ]
    removed = _json(retold("diff", "s", str(before["seq"]), "--json"))["removed"]
    assert {one["how"] for one in removed} == {"compressed"}
    assert {one["into"] for one in removed} == {"c16", "c17"}
    text = retold("decompress", "s", "c16", "--item", "i4")
    assert "brought back i4 of c16" in text.stdout
    assert _json(retold("decompress", "s", "c16", "--json"))["seq"] == done["seq"] + 2
    assert _json(retold("undo", "s", "--json"))["hash"] == before["hash"]
    by_hand = retold("compress", "s", "--from", "i3", "--to", "i4", "--text", "a run")
    assert "c18 for i3 to i4, 2 entries" in by_hand.stdout


def test_a_wrong_call_is_said_to_be_wrong(retold: Retold, transcript: Path, tmp_path: Path) -> None:
    """A range that cannot be, half of the options and a file that is no JSON end with 2 and one sentence."""
    retold("import", transcript, "--session", "s")
    broken = tmp_path / "broken.json"
    broken.write_text("[", encoding="utf-8")
    for words, told in (
        (("compress", "s", "--from", "i3"), "--from, --to and --text together"),
        (("compress", "s", "--from", "i3", "--to", "i3", "--text", "x"), "it would part i3 from i4"),
        (("compress", "s", broken), "expected JSON in"),
        (("decompress", "s", "i3"), "'i3' is whole"),
    ):
        done = retold(*words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr
