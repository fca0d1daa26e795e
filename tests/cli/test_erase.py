"""Erasing and keys on the command line: what a person types, and what is in the files afterwards."""

import json
from functools import partial
from pathlib import Path

import pytest
from tests.cli.conftest import Retold

SAID = "Never touch main."


def _stored(tmp_path: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())


def _name(retold: Retold) -> str:
    name: str = json.loads(retold("sessions", "--json").stdout)[0]["session"]
    return name


@pytest.mark.slow
def test_a_session_is_erased_by_one_command(retold: Retold, transcript: Path, tmp_path: Path) -> None:
    """`retold erase` removes what was said from the store's files; show tells who, when and why, and verify is well."""
    assert retold("import", transcript).returncode == 0
    name = _name(retold)
    assert SAID.encode() in _stored(tmp_path)
    refused = retold("erase", name, "--by", "the owner")
    assert refused.returncode == 2
    assert "expected --yes" in refused.stderr
    done = retold("erase", name, "--by", "the owner", "--reason", "asked", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    erased = json.loads(done.stdout)["erased"]
    assert erased["events"] == erased["seq"] - 1 > 10
    assert SAID.encode() not in _stored(tmp_path)
    shown = json.loads(retold("show", name, "--json").stdout)
    assert {key: shown["erased"][key] for key in ("by", "reason", "seq")} == {
        "by": "the owner",
        "reason": "asked",
        "seq": erased["seq"],
    }
    assert shown["entries"] == 0
    assert retold("verify").returncode == 0
    past = retold("history", name, "--at", "3")
    assert past.returncode == 2
    assert f"was erased at {erased['seq']}" in past.stderr


@pytest.mark.slow
def test_a_sealed_log_needs_its_key_file(retold: Retold, transcript: Path, tmp_path: Path) -> None:
    """With a key file all commands work and no text is in the store; without it I am told which key is missing."""
    file = tmp_path / "keys" / "master.keys"
    assert retold("keys", "new", file, "--id", "k1").returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    sealed = partial(retold, RETOLD_KEY_FILE=str(file))
    assert sealed("import", transcript).returncode == 0
    assert SAID.encode() not in _stored(tmp_path)
    assert SAID in sealed("history", _name(retold)).stdout
    assert "sealed, master keys k1" in sealed("doctor").stdout
    assert "not proven" not in sealed("verify").stdout
    blind = retold("verify")
    assert blind.returncode == 2
    assert "none missing or changed; not proven" in blind.stdout
    [verdict] = json.loads(retold("verify", "--chain", "--json").stdout)
    assert (verdict["ok"], verdict["proof"], verdict["replacements"]) == (True, "chain", 0)
    assert retold("verify", "--chain").returncode == 0
    assert "under master key 'k1', which was not given: name the key file (RETOLD_KEY_FILE" in blind.stderr
    status = retold("keys", "status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["masters"] == [{"id": "k1", "data_keys": 1, "held": False}]


@pytest.mark.slow
def test_master_keys_are_turned_by_two_commands(retold: Retold, transcript: Path, tmp_path: Path) -> None:
    """A new master key goes first in the file, `keys rotate` wraps all by it, and the old one can be taken out."""
    file = tmp_path / "master.keys"
    sealed = partial(retold, RETOLD_KEY_FILE=str(file))
    assert retold("keys", "new", file, "--id", "k1").returncode == 0
    assert sealed("import", transcript).returncode == 0
    assert json.loads(retold("keys", "new", file, "--id", "k2", "--json").stdout)["keys"] == ["k2", "k1"]
    assert json.loads(sealed("keys", "rotate", "--data-keys", "--json").stdout) == {"wrapped": 1, "made": 1}
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("k1 ")), encoding="utf-8")
    assert sealed("verify").returncode == 0
    status = json.loads(sealed("keys", "status", "--json").stdout)
    assert status == {"sealed": True, "masters": [{"id": "k2", "data_keys": 2, "held": True}]}
