"""Commands share the embedded server: none takes it away from another, and none is needed to mend what a kill left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import msgspec
import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow

WAIT_S = 50
TOGETHER = 4


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give the directory of this test's embedded server."""
    return tmp_path / "store"


def start(store: Path, *words: str | Path) -> "subprocess.Popen[str]":
    """Start ``retold`` with *words*, and do not wait for it."""
    environment = {**os.environ, "RETOLD_DATA_DIR": str(store), "RETOLD_PROFILE": "fast"}
    command = [sys.executable, "-m", "retold.cli", *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@contextmanager
def up(store: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run ``retold up`` for the block; it is up when the block starts, and has ended after it."""
    process = start(store, "up")
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline().startswith("Retold is up")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=WAIT_S)


def server_of(store: Path) -> int:
    """Return the process of the embedded server as its state file tells."""
    pid = msgspec.json.decode((store / "server.json").read_bytes())["pid"]
    assert isinstance(pid, int)
    return pid


def is_gone(pid: int) -> bool:
    """Return whether process *pid* has ended."""
    path = Path(f"/proc/{pid}/cmdline")
    return not path.exists() or not path.read_bytes()


def checks_of(done: CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """Return the state and the way to mend of each check of the doctor."""
    return {check["name"]: (check["state"], check["mend"]) for check in json.loads(done.stdout)}


def test_up_comes_up_again_after_it_was_killed(retold: Retold, store: Path) -> None:
    """After kill -9 of `retold up` the doctor names the server that was left, and the next `up` takes it over."""
    with up(store) as killed:
        assert checks_of(retold("doctor", "--json"))["embedded server"] == ("ok", "")
        killed.kill()
        killed.wait(WAIT_S)
    left = server_of(store)
    state, mend = checks_of(retold("doctor", "--json"))["embedded server"]
    assert (state, is_gone(left)) == ("warning", False)
    assert "retold up" in mend
    with up(store):
        assert server_of(store) == left
    assert is_gone(left)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_up_ends_in_order_when_it_is_told_to(store: Path, number: signal.Signals) -> None:
    """Closing the terminal, Ctrl-C and kill each end `retold up` and its server, without a traceback."""
    with up(store) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
        assert "Traceback" not in said
    assert is_gone(server_of(store))


def test_commands_that_start_together_all_succeed(retold: Retold, store: Path, transcript: Path) -> None:
    """Several imports at once on a fresh directory all succeed, and the server ends with the last of them."""
    running = [start(store, "import", transcript, "--session", f"s{number}") for number in range(TOGETHER)]
    ends = [(process.communicate(timeout=WAIT_S)[1], process.returncode) for process in running]
    assert [code for _, code in ends] == [0] * TOGETHER, ends
    assert is_gone(server_of(store))
    assert len(json.loads(retold("sessions", "--json").stdout)) == TOGETHER


def test_a_command_keeps_its_server_when_the_one_that_started_it_ends(
    retold: Retold, store: Path, transcript: Path
) -> None:
    """A second `up` joins the first one's server and keeps it when the first one ends; an import then finds it."""
    with up(store) as first, up(store):
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=WAIT_S)
        server = server_of(store)
        assert not is_gone(server)
        assert retold("import", transcript, "--session", "s").returncode == 0
        assert not is_gone(server)
    assert is_gone(server)


def test_a_profile_that_is_not_the_one_in_use_is_refused(retold: Retold, store: Path) -> None:
    """I am told when others use the server with another durability than the one I ask for."""
    with up(store):
        done = retold("up", "--profile", "safe")
        assert done.returncode == 3
        assert "expected the profile safe" in done.stderr
