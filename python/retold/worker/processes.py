"""Whether another process of this machine has ended, so that nobody waits for the leases of one that is surely dead.

A process is named by machine, boot, space of process ids, id and start: an id that was given out again, or one of
another container, is another process. Where Linux does not tell, nothing is known, and leases run out in their time.
"""

import os
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START = 0, 19
"""Where the state and the start are in what /proc says behind the name of the program."""
_ENDED = frozenset("ZX")


def own_process() -> str:
    """Return the name of this process; empty where the system does not tell."""
    told = _told(os.getpid())
    space = _space()
    return f"{space}/{os.getpid()}/{told[_START]}" if told and space else ""


def has_ended(process: str) -> bool:
    """Return whether *process*, as `own_process` named it, was of this machine and is no more."""
    space, pid, started = (["", "", "", *process.rsplit("/", 2)])[-3:]
    if not pid.isdigit() or space != _space():
        return False
    told = _told(int(pid))
    return told is None or told[_STATE] in _ENDED or told[_START] != started


def _space() -> str:
    """Return what process ids are unique in: this boot of this machine, and the container; empty if it is not told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _told(pid: int) -> list[str] | None:
    """Return what the system tells of process *pid*; None if there is none."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
