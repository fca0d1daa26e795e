"""Who works on what: the rules by which workers share the partitions, without a clock and without a server.

Rules:
- Every worker computes the same shares from the same table, so nobody has to lead. Tables differ for moments: then two
  may want the same partition, and the one whose claim is written has it.
- Shares differ by one partition at most, and as few change hands as that allows.
- Presence is what a worker renews; a partition belongs to whom its entry names, while that worker is present. So a
  worker renews one entry, whatever it holds, and leaves by removing it.
- A worker is gone when its presence stood still for as long as it had said it would take at most, by the reader's own
  clock from when the reader first saw it so. Clocks of two machines are never compared.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec import Struct

from retold.lease_ports import PARTITIONS, Claim

_PARTITION = "partition."
_WORKER = "worker."


class Presence(Struct, frozen=True):
    """Say who works, as its entry does.

    Attributes:
        ttl_s: how long it may be silent before others take over.
        host: the machine that it runs on; with *pid*, for people.
        process: which process it is, for others of that machine (`retold.worker.processes`).
    """

    ttl_s: float
    host: str = ""
    pid: int = 0
    process: str = ""


class Table(Struct, frozen=True):
    """Hold what the table of leases says.

    Attributes:
        workers: who says to be present, by worker, with the entry that says so.
        holders: the worker that each partition's entry names; none where nobody holds it.
        revisions: the revision of each partition that has an entry.
    """

    workers: Mapping[str, tuple[Presence, Claim]]
    holders: Mapping[int, str]
    revisions: Mapping[int, int]


def worker_name(worker: str) -> str:
    """Return the name of the worker's entry."""
    return _WORKER + worker


def partition_name(partition: int) -> str:
    """Return the name of the partition's entry."""
    return f"{_PARTITION}{partition}"


def read_table(claims: Mapping[str, Claim]) -> Table:
    """Return what *claims* say; an entry that cannot be read says nothing."""
    workers: dict[str, tuple[Presence, Claim]] = {}
    holders: dict[int, str] = {}
    revisions: dict[int, int] = {}
    for name, claim in claims.items():
        number = _number(name)
        if number is not None:
            revisions[number] = claim.revision
            if claim.value:
                holders[number] = claim.value.decode(errors="replace")
        elif name.startswith(_WORKER) and (presence := _presence(claim)) is not None:
            workers[name.removeprefix(_WORKER)] = (presence, claim)
    return Table(workers=workers, holders=holders, revisions=revisions)


def shares(workers: Iterable[str], holders: Mapping[int, str], *, partitions: int = PARTITIONS) -> dict[int, str]:
    """Return which worker is to hold each partition, given the *holders* as they are. O(partitions · log).

    Each worker's share is one of two neighbouring sizes. Those who hold most get the larger ones and keep what they
    have of their share, lowest numbers first; what is left goes to those with room. Without workers, nobody holds any.
    """
    present = set(workers)
    held = {number: holder for number, holder in holders.items() if holder in present and 0 <= number < partitions}
    room = _sizes(present, Counter(held.values()), partitions=partitions)
    given: dict[int, str] = {}
    for number in sorted(held):
        if room[held[number]]:
            given[number] = held[number]
            room[held[number]] -= 1
    free = (worker for worker in sorted(room) for _ in range(room[worker]))
    rest = [number for number in range(partitions) if number not in given]
    return given | dict(zip(rest, free, strict=False))


def _sizes(workers: Collection[str], held: Mapping[str, int], *, partitions: int) -> dict[str, int]:
    """Return how many partitions each worker is to hold."""
    if not workers:
        return {}
    least, larger = divmod(partitions, len(workers))
    most_first = sorted(workers, key=lambda worker: (-held.get(worker, 0), worker))
    return {worker: least + (at < larger) for at, worker in enumerate(most_first)}


class Sightings:
    """Remember since when each presence stands still, by the reader's own clock."""

    def __init__(self) -> None:
        self._since_s: dict[str, tuple[int, float]] = {}

    def gone(self, workers: Mapping[str, tuple[Presence, Claim]], *, asked_s: float, answered_s: float) -> set[str]:
        """Take in *workers*, which were asked for and came at these times; return those that are to be taken as gone.

        Their entries stood as they do now from the end of an earlier look to the beginning of this one.
        """
        before, self._since_s = self._since_s, {}
        found = set[str]()
        for worker, (presence, claim) in workers.items():
            revision, since_s = before.get(worker, (0, 0.0))
            if revision != claim.revision:
                since_s = answered_s
            elif asked_s - since_s >= presence.ttl_s:
                found.add(worker)
            self._since_s[worker] = (claim.revision, since_s)
        return found


def _number(name: str) -> int | None:
    """Return the partition that an entry's name says, or None."""
    text = name.removeprefix(_PARTITION)
    known = text != name and text.isascii() and text.isdigit() and int(text) < PARTITIONS
    return int(text) if known else None


def _presence(claim: Claim) -> Presence | None:
    try:
        return msgspec.json.decode(claim.value, type=Presence)
    except msgspec.MsgspecError:
        return None
