"""Back up, prove, restore and repair from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest
from tests.cli.test_damage import flip

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_damaged_session_shows_and_is_repaired(retold: Retold, tmp_path: Path, transcript: Path) -> None:
    """What I backed up mends what is damaged; until then every command that lists sessions names session and place."""
    backup = tmp_path / "backup"
    assert retold("import", transcript, "--session", "s").returncode == 0
    written = retold("backup", "write", backup, "--json")
    assert written.returncode == 0
    assert [(row["session"], row["ok"], row["added"]) for row in json.loads(written.stdout)] == [("s", True, 16)]
    assert retold("backup", "verify", backup).stdout.startswith("ok      default/s: 16 events")
    flip(tmp_path / "store", b"Why does it fail?")
    assert retold("verify", "s").returncode == 1
    listed = retold("sessions", "--json")
    [row] = json.loads(listed.stdout)
    assert (listed.returncode, row["damaged"], row["damaged_seq"]) == (1, True, 3)
    assert "set aside: damaged at 3" in retold("sessions").stdout
    checked = retold("doctor", "--json")
    assert checked.returncode == 1
    [check] = [one for one in json.loads(checked.stdout) if one["name"] == "sessions"]
    assert check["state"] == "failed"
    assert "default/s at 3" in check["found"]
    repaired = retold("repair", "s", "--from", backup, "--json")
    assert repaired.returncode == 0
    done = json.loads(repaired.stdout)
    assert (done["ok"], done["put_back"], done["damaged_seq"]) == (True, [3], 3)
    for command in (["sessions"], ["verify"], ["doctor"]):
        assert retold(*command).returncode == 0
    assert "nothing is damaged" in retold("repair", "s", "--from", backup).stdout


def test_an_export_is_restored_elsewhere(retold: Retold, tmp_path: Path, transcript: Path) -> None:
    """A session that I export is the same session in another store; restoring it twice changes nothing."""
    assert retold("import", transcript, "--session", "s").returncode == 0
    exported = retold("export", "s", "--format", "events")
    path = tmp_path / "s.jsonl"
    path.write_bytes(exported.stdout.encode())
    new = ("--data-dir", tmp_path / "new")
    for added in (16, 0):
        restored = retold(*new, "backup", "restore", path, "--json")
        assert restored.returncode == 0
        assert [row["added"] for row in json.loads(restored.stdout)] == [added]
    assert retold(*new, "export", "s", "--format", "events").stdout == exported.stdout
    for wrong in (["export", "t"], ["repair", "t", "--from", path], ["backup", "restore", path, "t"]):
        assert retold(*wrong).returncode == 2
