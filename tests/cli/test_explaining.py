"""``retold explain`` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]


@pytest.mark.slow
def test_a_compaction_is_explained(retold: Retold, transcript: Path) -> None:
    """I see what the newest compaction did and how to get things back, list all, and am told what is not there."""
    retold("import", transcript, "--session", "s", "--hard-limit", "2400", "--pre-rot", "2000")
    retold("worker", "--once")
    listed = json.loads(retold("explain", "s", "--all", "--json").stdout)
    assert all(one["made"] for one in listed)
    shown = retold("explain", "s")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(retold("explain", "s", str(listed[0]["version"]), "--json").stdout)
    assert told["pins"] == told["pins_intact"] > 0
    assert told["seq"] == listed[0]["seq"]
    assert told["offloaded"] or told["summarised"]
    for one in told["offloaded"]:
        assert one["name"] == "run_tests"
    assert f"version     {listed[-1]['version']} of s" in shown.stdout
    assert "word for word" in shown.stdout
    assert "retold restore s" in shown.stdout or "retold undo s" in shown.stdout
    assert "offload" in retold("explain", "s", "--all").stdout
    wrong = retold("explain", "s", "999")
    assert (wrong.returncode, "got 999" in wrong.stderr) == (2, True)
    retold("fork", "s", "f")
    nothing = retold("explain", "f")
    assert (nothing.returncode, "forked from 's' at" in nothing.stderr) == (2, True)
    retold("manage", "f", "--now", "--target", "400")
    retold("worker", "--once")
    assert "fork        of s after its event" in retold("explain", "f").stdout
