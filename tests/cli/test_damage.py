"""Damage in my store shows in every command that meets it, with exit code 1."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow


def flip(store: Path, text: bytes) -> None:
    """Flip one bit of *text* in the event stream's files."""
    for path in store.rglob("RETOLD_EVENTS/msgs/*.blk"):
        body = bytearray(path.read_bytes())
        if text in body:
            body[body.rindex(text)] ^= 1
            path.write_bytes(bytes(body))
            return
    raise AssertionError(f"{text!r} is in no file")


def test_a_damaged_end_is_named_by_verify_and_by_sessions(retold: Retold, tmp_path: Path, transcript: Path) -> None:
    """When a session's last event is damaged, verify gives a verdict with its place, and the list marks the session."""
    assert retold("import", transcript, "--session", "s").returncode == 0
    flip(tmp_path / "store", b"The linker flags")
    verified = retold("verify", "s", "--json")
    assert verified.returncode == 1
    [verdict] = json.loads(verified.stdout)
    assert (verdict["session"], verdict["ok"], verdict["damaged_seq"]) == ("s", False, 16)
    listed = retold("sessions", "--json")
    assert listed.returncode == 1
    [row] = json.loads(listed.stdout)
    assert (row["session"], row["damaged"]) == ("s", True)
    assert "retold --tenant default verify s" in listed.stderr
    assert "DAMAGED" in retold("sessions").stdout
    assert retold("import", transcript, "--session", "s").returncode == 1
