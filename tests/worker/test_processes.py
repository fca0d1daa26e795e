"""Whether another process has ended is said only of one of this machine, and only when it surely has."""

import os
import subprocess
import sys

import pytest

from retold.worker.processes import has_ended, own_process

_NAME = "from retold.worker.processes import own_process; print(own_process(), flush=True); input()"

pytestmark = pytest.mark.skipif(not own_process(), reason="this system tells nothing of its processes")


@pytest.mark.slow
def test_a_process_has_ended_when_it_was_killed_and_not_before() -> None:
    """A worker of my machine that was killed is known to be dead, also before anybody has asked how it ended."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _NAME], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not has_ended(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(name)
    assert has_ended(name)


def test_a_process_id_that_was_given_out_again_is_another_process() -> None:
    """A process that started at another time is not the one that was meant."""
    name = own_process()
    assert not has_ended(name)
    assert has_ended(name + "0")


@pytest.mark.parametrize("name", ["", "x", "a/b", "boot/pid:[1]/1/2", "///", "a/b/c"])
def test_of_a_process_of_another_machine_nothing_is_known(name: str) -> None:
    """Of a process elsewhere, or of a name that says nothing, nobody says that it has ended."""
    assert not has_ended(name)
