"""``retold workers`` shows who works on my log, and who holds which part of it."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import msgspec
import pytest
from tests.cli.test_sharing import up

from retold.cli.fleet import fleet_of, runs_of
from retold.lease_ports import PARTITIONS, Claim
from retold.worker.sharing import Presence, partition_name, worker_name

Retold: TypeAlias = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize(
    ("numbers", "shown"), [((), ""), ((5,), "5"), ((0, 1), "0-1"), ((0, 1, 2, 3, 7, 9, 10), "0-3 7 9-10")]
)
def test_partitions_are_shown_in_runs(numbers: tuple[int, ...], shown: str) -> None:
    """What a worker holds is shown as short as it can be."""
    assert runs_of(numbers) == shown


def test_partitions_of_a_worker_that_has_left_are_free() -> None:
    """A partition that names nobody who is there is shown as held by nobody."""
    claims = {
        worker_name("a"): Claim(value=msgspec.json.encode(Presence(ttl_s=10, host="h", pid=7)), revision=1),
        partition_name(1): Claim(value=b"a", revision=2),
        partition_name(2): Claim(value=b"gone", revision=3),
        partition_name(3): Claim(value=b"", revision=4),
    }
    fleet = fleet_of(claims)
    assert [(one.worker, one.host, one.pid, one.partitions) for one in fleet.workers] == [("a", "h", 7, (1,))]
    assert len(fleet.free) == PARTITIONS - 1


@pytest.mark.slow
def test_who_holds_what_is_listed(retold: Retold, tmp_path: Path) -> None:
    """Beside `retold up` I see one worker that holds all 64 partitions, and none once it has ended."""
    with up(tmp_path / "store") as running:
        fleet = json.loads(retold("workers", "--json").stdout)
        while fleet["free"]:
            fleet = json.loads(retold("workers", "--json").stdout)
        [worker] = fleet["workers"]
        assert worker["partitions"] == list(range(PARTITIONS))
        assert worker["pid"] == running.pid
        assert "0-63" in retold("workers").stdout
    assert json.loads(retold("workers", "--json").stdout) == {"workers": [], "free": list(range(PARTITIONS))}
    assert "no worker is there" in retold("workers").stdout
