"""Whatever is wrong with a file is named with its line, and the rest is imported."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow

GOOD = b'{"role":"user","content":"first"}\n', b'{"role":"user","content":"last"}\n'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"role":"user","content":\n', "JSON"),
        (b"\x00\x01\xff\xfe binary\n", "NUL byte"),
        (b'{"role":"user","content":"' + b"x" * 20_000_000 + b'"}\n', "16777216"),
    ],
    ids=["malformed", "binary", "20 MB"],
)
def test_a_bad_line_is_named_and_the_rest_is_imported(retold: Retold, tmp_path: Path, bad: bytes, reason: str) -> None:
    """When one line of my file cannot be read, I am told which and why, and the other lines are in."""
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(GOOD[0] + bad + GOOD[1])
    done = retold("import", path, "--json")
    assert done.returncode == 1
    [report] = json.loads(done.stdout)
    assert report["appended"] == 2
    errors = [problem for problem in report["problems"] if problem["severity"] == "error"]
    assert [problem["line"] for problem in errors] == [2]
    assert reason in errors[0]["reason"]


def test_an_unknown_record_type_is_named_and_the_rest_is_imported(retold: Retold, tmp_path: Path) -> None:
    """When my agent writes records that Retold does not know, each is named with its line, and the others are in."""
    said = '{"type":"response_item","payload":{"type":"message","role":"user","content":[]}}'
    lines = ['{"type":"session_meta","payload":{"id":"abc"}}', said, '{"type":"no_such_record","payload":{}}', said]
    path = tmp_path / "rollout.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    done = retold("import", path, "--json")
    assert done.returncode == 1
    [report] = json.loads(done.stdout)
    assert report["appended"] == 2
    [problem] = report["problems"]
    assert problem["line"] == 3
    assert "no_such_record" in problem["reason"]


def test_files_that_are_no_transcripts_are_named_and_the_others_imported(retold: Retold, tmp_path: Path) -> None:
    """An empty file, a directory, a binary and a missing file are each named; the good one beside them is imported."""
    good, empty, binary = tmp_path / "good.jsonl", tmp_path / "empty.jsonl", tmp_path / "binary.jsonl"
    good.write_bytes(GOOD[0] + GOOD[1])
    empty.write_bytes(b"")
    binary.write_bytes(bytes(range(256)) * 40)
    paths = [empty, tmp_path, binary, tmp_path / "missing.jsonl", good]
    done = retold("import", *paths)
    assert done.returncode == 1
    for path in paths[:-1]:
        assert f"{path}:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "good" in done.stdout
    assert retold("sessions", "--json").stdout.count('"session"') == 1
