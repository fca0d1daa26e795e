"""``retold workers``: who works on the log, and who holds which part of the sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import typer
from msgspec import Struct
from rich.table import Table

from retold.cli.options import Json, Options, console, print_json, print_table, run
from retold.lease_ports import PARTITIONS, Claim


class WorkerLine(Struct, frozen=True):
    """Say what one worker holds.

    Attributes:
        worker: its name in the table; a new one each time that it joins.
        ttl_s: how long it may be silent before the others take over.
        renewed_at: when it last said that it is there, by the server's clock.
        partitions: what it holds, in order.
    """

    worker: str
    host: str
    pid: int
    ttl_s: float
    renewed_at: datetime | None
    partitions: tuple[int, ...]


class Fleet(Struct, frozen=True):
    """Say who works on a log.

    Attributes:
        free: the partitions that nobody holds.
    """

    workers: tuple[WorkerLine, ...]
    free: tuple[int, ...]


def workers(context: typer.Context, as_json: Json = False) -> None:
    """List the workers, and which of the 64 partitions each holds; one that was killed stays until its time is over."""
    fleet = fleet_of(run(_claims(context.obj)))
    if as_json:
        print_json(fleet)
        return
    if not fleet.workers:
        console().print("no worker is there: start `retold worker` or `retold up`")
        return
    table = Table("worker", "host", "process", "partitions", "held", "last renewed")
    for one in fleet.workers:
        at = "" if one.renewed_at is None else f"{one.renewed_at:%Y-%m-%d %H:%M:%S}"
        held = str(len(one.partitions))
        table.add_row(one.worker, one.host, str(one.pid), runs_of(one.partitions), held, at)
    print_table(table)
    if fleet.free:
        console().print(f"held by nobody: {runs_of(fleet.free)}")


async def _claims(options: Options) -> dict[str, Claim]:
    from retold.wiring import embedded_server, inspect_leases  # noqa: PLC0415 - loads the client

    if options.server_url is not None:
        return await inspect_leases(options.server_url)
    async with embedded_server(options.directory) as server:
        return await inspect_leases(server.url)


def fleet_of(claims: Mapping[str, Claim]) -> Fleet:
    """Return what the table of leases says."""
    from retold.worker.sharing import read_table  # noqa: PLC0415 - loads the worker

    table = read_table(claims)
    held: dict[str, list[int]] = {worker: [] for worker in table.workers}
    for number, holder in sorted(table.holders.items()):
        held.get(holder, []).append(number)
    lines = [
        WorkerLine(
            worker=worker,
            host=presence.host,
            pid=presence.pid,
            ttl_s=presence.ttl_s,
            renewed_at=claim.at,
            partitions=tuple(held[worker]),
        )
        for worker, (presence, claim) in sorted(table.workers.items())
    ]
    taken = {number for line in lines for number in line.partitions}
    return Fleet(workers=tuple(lines), free=tuple([one for one in range(PARTITIONS) if one not in taken]))


def runs_of(numbers: Sequence[int]) -> str:
    """Return ascending *numbers* as ``0-3 7 9-10``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return " ".join("-".join(map(str, run)) for run in runs)
