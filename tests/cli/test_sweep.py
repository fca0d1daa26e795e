"""``retold sweep``: what would be removed, what was, and for how long it must have lain."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Retold


def test_a_sweep_says_what_it_did(retold: Retold, transcript: Path) -> None:
    """In a store where everything is claimed, nothing is found, dry or not."""
    assert retold("import", transcript, "--session", "s").returncode == 0
    for words, dry_run in ((["--dry-run"], True), (["--older-than", "0s"], False)):
        done = retold("sweep", *words, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"dry_run": dry_run, "bodies": [], "size_bytes": 0, "damaged": []}


@pytest.mark.parametrize("grace", ["1", "-1h", "1h30m"])
def test_a_grace_time_names_its_unit(retold: Retold, grace: str) -> None:
    """A time without a unit, or of a kind that is not known, is refused by what was expected."""
    done = retold("sweep", f"--older-than={grace}")
    assert done.returncode == 2
    assert "90s, 15m, 1h or 2d" in done.stderr
