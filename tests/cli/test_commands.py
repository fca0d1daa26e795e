"""The command line does what its help says, and its exit codes mean what the README says."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow

SMALL_WINDOW = ("--hard-limit", "2400", "--pre-rot", "2000")


def test_import_work_history_and_verify_make_one_run(retold: Retold, transcript: Path) -> None:
    """I import a transcript, let a worker go over it once, read the history, and it verifies."""
    imported = retold("import", transcript, "--session", "s", *SMALL_WINDOW, "--json")
    assert imported.returncode == 0, imported.stderr
    assert json.loads(imported.stdout)[0]["appended"] == 15
    assert retold("worker", "--once").returncode == 0
    shown = json.loads(retold("show", "s", "--json").stdout)
    assert shown["compactions"][0]["type"] == "HistoryReplaced"
    assert shown["tokens"]["upper"] < 2_000
    verified = retold("verify", "s", "--json")
    assert verified.returncode == 0
    assert json.loads(verified.stdout)[0]["replacements"] == len(shown["compactions"])


def test_a_history_at_a_sequence_has_the_same_bytes_in_every_run(retold: Retold, transcript: Path) -> None:
    """When I ask twice for the history at one event, I get the same bytes."""
    retold("import", transcript, "--session", "s", *SMALL_WINDOW)
    retold("worker", "--once")
    for at in ("1", "9", "16"):
        first, again = (retold("history", "s", "--at", at, "--json") for _ in range(2))
        assert first.returncode == 0, first.stderr
        assert first.stdout == again.stdout
        assert json.loads(first.stdout)["seq"] == int(at)


@pytest.mark.parametrize("form", ["chat", "responses", "anthropic"])
def test_a_history_is_printed_in_each_form(retold: Retold, transcript: Path, form: str) -> None:
    """I can take the history out as the messages of each provider."""
    retold("import", transcript, "--session", "s")
    messages = json.loads(retold("history", "s", "--format", form).stdout)
    assert "Why does it fail?" in json.dumps(messages)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("bogus",), 2),
        (("history",), 2),
        (("history", "nobody"), 2),
        (("history", "bad name"), 2),
        (("show", "nobody"), 2),
        (("import",), 2),
        (("--tenant", "a b.c", "sessions"), 2),
        (("verify", "nobody"), 2),
        (("demo", "/nowhere/at/all"), 2),
        (("--url", "nats://127.0.0.1:1", "sessions"), 3),
        (("up", "--profile", "bogus"), 2),
        (("up", "--summarizer", "gpt-5"), 2),
        (("worker", "--once", "--remote", "google:gemini"), 2),
    ],
)
def test_a_wrong_call_ends_with_its_exit_code(retold: Retold, words: tuple[str, ...], code: int) -> None:
    """A wrong call tells me on stderr what was expected, and its exit code says whose fault it is."""
    done = retold(*words)
    assert done.returncode == code, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_wrong_places_in_time_are_refused(retold: Retold, transcript: Path) -> None:
    """A sequence or time that the session does not have is refused with what there is."""
    retold("import", transcript, "--session", "s")
    for at, expected in (("0", "1 or more"), ("99", "1 to 16"), ("soon", "ISO time"), ("2001-01-01", "first event")):
        done = retold("history", "s", "--at", at)
        assert done.returncode == 2
        assert expected in done.stderr


def test_doctor_finds_a_fresh_installation_well(retold: Retold) -> None:
    """On a fresh machine the doctor finds nothing that must be mended."""
    done = retold("doctor", "--json")
    assert done.returncode == 0, done.stdout
    checks = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert checks["core"] == checks["vocabulary o200k_base"] == checks["server"] == "ok"
    assert checks["durability"] == "warning"  # this test's store is not the safe one


def test_the_demo_proves_three_past_states(retold: Retold) -> None:
    """The demo compacts a session and rebuilds three earlier states with the hashes that were published then."""
    done = retold("demo", "--turns", "12", "--hard-limit", "16000", "--pre-rot", "12000", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert len(outcome["proofs"]) == 3
    assert all(proof["published_hash"] == proof["rebuilt_hash"] for proof in outcome["proofs"])
    assert outcome["tokens_now"] < outcome["tokens_appended"]
    assert outcome["verdict"]["damaged_seq"] is None


def test_the_demo_plays_a_file_of_mine(retold: Retold, transcript: Path) -> None:
    """The demo takes my own transcript instead of the bundled session."""
    done = retold("demo", transcript, "--hard-limit", "2400", "--pre-rot", "2000")
    assert done.returncode == 0, done.stderr
    assert "verify: ok" in done.stdout


def test_a_tenant_that_i_name_is_the_only_one_shown(retold: Retold, transcript: Path) -> None:
    """`sessions` and `verify` show every tenant's sessions, or those of the one that I name."""
    for tenant in ("one", "two"):
        assert retold("--tenant", tenant, "import", transcript, "--session", "s").returncode == 0
    for command in ("sessions", "verify"):
        rows = json.loads(retold(command, "--json").stdout)
        assert [row["tenant"] for row in rows] == ["one", "two"]
        rows = json.loads(retold("--tenant", "two", command, "--json").stdout)
        assert [row["tenant"] for row in rows] == ["two"]
        assert json.loads(retold("--tenant", "three", command, "--json").stdout) == []
