"""Leases: a worker says that it is there, claims its share of the partitions, and gives up what it cannot keep.

Rules:
- A lease is scheduling, no lock: what is written to a session names the sequence that it must end at, so whoever
  writes with a lease that is long gone is refused. Leases keep two workers from doing the same work.
- A lease holds until `STOP_BEFORE` of the time is left that others wait, counted from before the last renewal was
  sent. So its holder has stopped before anybody may take it, however long the answer took.
- Who takes over removes the silent one's presence first, by compare-and-set. If that succeeds the silent one cannot
  renew any more, and joins as a new worker; if it does not, it was alive. A process of the same machine that has ended
  is not waited for: a worker that was killed and started again works at once.
- What a worker holds is what it has claimed itself by compare-and-set; the table, which may be a moment old, only
  tells it what to try.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

import msgspec

from retold.errors import UnavailableError
from retold.events import SessionKey
from retold.lease_ports import Leases
from retold.log.names import partition
from retold.worker.ownership import LetGo
from retold.worker.processes import has_ended, own_process
from retold.worker.sharing import Presence, Sightings, Table, partition_name, read_table, shares, worker_name

LEASE_TTL_S = 10.0
"""How long a worker may be silent before others take its partitions: longer than a cluster takes for a new leader."""
RENEWALS = 3
"""So many renewals are due in that time."""
STOP_BEFORE = 0.2
"""The part of that time that a worker keeps as a margin for clocks that do not go alike, and for stopping."""
HAND_OVER_S = 5.0
"""How long what runs on a partition may take to end before it is handed over; a summary that is cut off is written
again by the next worker."""
LEAVE_S = 2.0
"""How long a worker that stops tries to say so; else others wait until its leases have run out."""

_log = logging.getLogger(__name__)


class LeasedPartitions:
    """Share the partitions of a log with the other workers; see `retold.worker.ownership.Ownership`."""

    def __init__(self, leases: Leases, *, ttl_s: float = LEASE_TTL_S) -> None:
        """Hold leases in *leases* that others may take when this worker was silent for *ttl_s*."""
        self._leases = leases
        self._ttl_s = ttl_s
        host, pid = socket.gethostname(), os.getpid()
        self._presence = msgspec.json.encode(Presence(ttl_s=ttl_s, host=host, pid=pid, process=own_process()))
        self._sightings = Sightings()
        self._worker = ""
        self._revision = 0
        self._valid_until_s = 0.0
        self._held: dict[int, int] = {}
        self._leaving: dict[int, int] = {}
        self._followed: Mapping[int, int] = {}
        self._change = asyncio.Event()
        self._look = asyncio.Event()
        self._renewed = asyncio.Event()

    @property
    def worker(self) -> str:
        """Return the name that the worker has in the table now; empty while it has none."""
        return self._worker

    @property
    def followed(self) -> Mapping[int, int]:
        """Return the partitions that are held, each with the revision of its claim."""
        return self._followed

    async def changed(self, since: Mapping[int, int]) -> None:
        """Return when `followed` is not *since* any more."""
        while self._followed == since:
            change = self._change
            await change.wait()

    def holds(self, key: SessionKey) -> bool:
        """Return whether the session's partition is held, and will be for a moment."""
        return partition(key) in self._followed and not self._is_over

    @property
    def _is_over(self) -> bool:
        return _now() >= self._valid_until_s

    @asynccontextmanager
    async def kept(self, let_go: LetGo) -> AsyncIterator[None]:
        """Join, hold a share for the block, and leave: others may take over at once, unless the server is away."""
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keep(let_go))
            try:
                yield
            finally:
                keeping.cancel()
                await asyncio.wait({keeping})
                self._follow({})
                with suppress(UnavailableError, TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await self._leave()

    async def _keep(self, let_go: LetGo) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._guard(let_go))
            while True:
                self._look.clear()
                try:
                    await self._renew(let_go)
                    if given_up := await self._share(let_go):
                        tasks.create_task(self._hand_over(given_up, let_go))
                except UnavailableError as error:
                    _log.warning("leases cannot be renewed: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._ttl_s / RENEWALS):
                        await self._look.wait()

    async def _watch(self) -> None:
        """Look at the table when others have changed it."""
        while True:
            with suppress(UnavailableError):
                async with aclosing(self._leases.changes()) as changes:
                    async for _ in changes:
                        self._look.set()

    async def _guard(self, let_go: LetGo) -> None:
        """Stop working when the leases were not renewed in time."""
        while True:
            left_s = self._valid_until_s - _now()
            if left_s <= 0:
                await self._drop(let_go, "they could not be renewed in time")
                self._renewed.clear()
                await self._renewed.wait()
            else:
                await asyncio.sleep(left_s)

    async def _renew(self, let_go: LetGo) -> None:
        """Say that this worker is there, as a new one if others took it for gone."""
        while True:
            if not self._revision:
                self._worker = secrets.token_hex(8)
            sent_s = _now()
            is_renewal = self._revision > 0
            name = worker_name(self._worker)
            revision = await self._leases.put(name, self._presence, revision=self._revision, quietly=is_renewal)
            if revision is not None:
                if self._is_over:
                    await self._drop(let_go, "they were renewed too late")
                self._revision = revision
                self._valid_until_s = sent_s + self._ttl_s * (1 - STOP_BEFORE)
                self._renewed.set()
                return
            self._revision = 0
            await self._drop(let_go, "another worker took this one for gone")

    async def _share(self, let_go: LetGo) -> frozenset[int]:
        """Claim what is this worker's share and free; return what is to be handed over."""
        asked_s = _now()
        table = read_table(await self._leases.claims())
        gone = self._sightings.gone(table.workers, asked_s=asked_s, answered_s=_now())
        gone |= {worker for worker, (presence, _) in table.workers.items() if has_ended(presence.process)}
        taken = {number for number in self._held if table.revisions.get(number, 0) > self._held[number]}
        if taken:
            await self._drop(let_go, "others hold some of them")
        present = await self._present(table, gone)
        own = self._held.keys() | self._leaving.keys()
        others = {number: holder for number, holder in table.holders.items() if holder in present - {self._worker}}
        # What names this worker and was dropped is as good as held by it: the others wait for it to give that up.
        named = {number for number, holder in table.holders.items() if holder == self._worker} - own
        plan = shares(present, others | dict.fromkeys(own | named, self._worker))
        share = {number for number, worker in plan.items() if worker == self._worker}
        await self._claim(share - own - others.keys(), table)
        await self._release({number: table.revisions[number] for number in named - share})
        given_up = frozenset(self._held.keys() - share)
        self._leaving |= {number: self._held.pop(number) for number in given_up}
        self._follow(self._held)
        return given_up

    async def _present(self, table: Table, gone: set[str]) -> set[str]:
        """Return who is there; those that stood still for too long are removed, if they do still."""
        present = {self._worker}
        for worker, (_, claim) in table.workers.items():
            if worker not in gone or not await self._leases.remove(worker_name(worker), revision=claim.revision):
                present.add(worker)
        for worker in set(table.holders.values()) - table.workers.keys() - present:
            # One that renews its entry just while the table is read may be missing from it.
            if await self._leases.claim(worker_name(worker)) is not None:
                present.add(worker)
        return present

    async def _claim(self, wanted: Iterable[int], table: Table) -> None:
        async def claim(number: int) -> None:
            revision = table.revisions.get(number, 0)
            claimed = await self._leases.put(partition_name(number), self._worker.encode(), revision=revision)
            if claimed is not None:
                self._held[number] = claimed

        if wanted := sorted(wanted):
            await asyncio.gather(*map(claim, wanted))

    async def _hand_over(self, given_up: frozenset[int], let_go: LetGo) -> None:
        """Finish what runs on these partitions, and say that they are free."""
        await let_go(given_up, HAND_OVER_S)
        _log.info("handed over %d partitions, %d are left", len(given_up), len(self._held))
        given_up &= self._leaving.keys()  # what was dropped meanwhile is given up elsewhere
        with suppress(UnavailableError):  # then it names this worker still, and is given up again
            await self._release({number: self._leaving[number] for number in given_up})
        for number in given_up:
            self._leaving.pop(number, None)

    async def _release(self, revisions: Mapping[int, int]) -> None:
        """Say that these partitions, which stand at these revisions, are free."""
        names = {partition_name(number): revision for number, revision in sorted(revisions.items())}
        await asyncio.gather(*(self._leases.put(name, b"", revision=revision) for name, revision in names.items()))

    async def _drop(self, let_go: LetGo, why: str) -> None:
        """Stop working at once: what is held may be another's."""
        dropped = frozenset(self._held.keys() | self._leaving.keys())
        if not dropped:
            return
        _log.warning("dropped %d partitions: %s", len(dropped), why)
        self._held.clear()
        self._leaving.clear()
        self._follow({})
        await let_go(dropped, 0)

    async def _leave(self) -> None:
        """Remove this worker's presence: what its name is on is free then."""
        revision, self._revision = self._revision, 0
        name = worker_name(self._worker)
        while revision and not await self._leases.remove(name, revision=revision):
            claim = await self._leases.claim(name)  # a renewal was cut off, and was written
            revision = 0 if claim is None else claim.revision

    def _follow(self, held: Mapping[int, int]) -> None:
        if held != self._followed:
            self._followed = dict(held)
            self._change.set()
            self._change = asyncio.Event()


def _now() -> float:
    """Return this process's own clock: it is compared with nobody else's."""
    return asyncio.get_running_loop().time()
