"""``retold replay`` and ``retold rebuild``, and places by item, on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow


def test_a_session_is_replayed_and_rebuilt(retold: Retold, transcript: Path) -> None:
    """I play a compacted session up to its first compaction, find a history by item, and rebuild all sessions."""
    retold("import", transcript, "--session", "s", "--hard-limit", "2400", "--pre-rot", "2000")
    retold("worker", "--once")
    played = retold("replay", "s", "--json")
    assert played.returncode == 0, played.stderr
    frames = [json.loads(line) for line in played.stdout.splitlines()]
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    compacted = [frame for frame in frames if "receipt" in frame]
    assert compacted
    until = retold("replay", "s", "--from", "2", "--until-compaction", "--speed", "1e9x", "--json")
    assert [json.loads(line)["seq"] for line in until.stdout.splitlines()] == list(range(3, compacted[0]["seq"] + 1))
    shown = retold("replay", "s", "--to", "i2")
    assert shown.stdout.splitlines()[-1].split()[0] == "3"
    assert json.loads(retold("history", "s", "--at", "i2", "--json").stdout)["seq"] == 3
    rebuilt = retold("rebuild", "--json", "--jobs", "2")
    assert rebuilt.returncode == 0, rebuilt.stderr
    row = {"tenant": "default", "session": "s", "events": len(frames), "snapshots": 0, "differed": 0}
    assert json.loads(rebuilt.stdout) == [row | {"published": "same"}]
    assert "published history: same" in retold("rebuild", "s").stdout
    assert retold("verify").returncode == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("replay", "nobody"), "none named 'nobody'"),
        (("rebuild", "nobody"), "none named 'nobody'"),
        (("replay", "s", "--speed", "fast"), "such as 10x, got 'fast'"),
        (("replay", "s", "--speed", "0x"), "such as 10x, got '0x'"),
        (("replay", "s", "--to", "99999"), "ends before it"),
        (("replay", "s", "--to", "i999"), "id of an item"),
        (("rebuild", "s", "--jobs", "-1"), "--jobs to be 0 or more"),
    ],
)
def test_what_cannot_be_played_or_rebuilt_is_named(
    retold: Retold, transcript: Path, words: tuple[str, ...], told: str
) -> None:
    """A session, a place or a speed that is not there gives exit code 2 and a sentence that says what was expected."""
    if words[1] == "s":
        retold("import", transcript, "--session", "s")
    done = retold(*words)
    assert done.returncode == 2
    assert told in done.stderr
