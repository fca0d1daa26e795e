"""A small store whose every answer is known, copies of it that are damaged on disk, and what the log says of them then.

An answer is *right*, or names its damage by a `RetoldError`; anything else is *silent*, and must not be.
"""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from retold.errors import CorruptLogError, RetoldError
from retold.events import Message, Recorded, SessionKey, Text, ToolCall, ToolResult, Window
from retold.fold import encode_context, fold, history_of
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.ports import Snapshot
from retold.replay import history_at, load, verify
from retold.wiring import client_of, worker_for

WINDOW = Window(hard_limit=4_000, pre_rot=2_400)
JUDGED_SEQS = 3
"""How many past states of each session are asked for."""


class Session(Struct):
    """Hold what is right for one session: its events' bytes, its published histories by version."""

    bodies: list[bytes]
    hashes: list[str]
    published: dict[int, bytes]


class Truth(Struct):
    """Hold what is right for a store."""

    sessions: dict[SessionKey, Session]


class Judgement(Struct, frozen=True):
    """Say what the log made of one damage: every answer that was refused by name, and every one that was wrong."""

    named: tuple[str, ...]
    silent: tuple[str, ...]


async def fill(directory: Path, *, killed: bool) -> Truth:
    """Write a store: one session compacted with everything made from it, one of events alone, one with large bodies."""
    server = EmbeddedServer(directory, profile="fast")
    await server.start()
    try:
        async with connect_log(server.url) as log:
            truth = Truth(sessions={})
            for name, turns, words in (("compacted", 12, 180), ("plain", 8, 20), ("large", 2, 90_000)):
                key, published = await _write(log, name, turns=turns, words=words, compacts=name == "compacted")
                events = [recorded async for recorded in log.read(key)]
                truth.sessions[key] = Session([one.body for one in events], _hashes(events), published)
    finally:
        if killed:
            os.kill(server.running.pid, signal.SIGKILL)
        await server.stop()
    return truth


async def _write(
    log: JetStreamLog, name: str, *, turns: int, words: int, compacts: bool
) -> tuple[SessionKey, dict[int, bytes]]:
    client, published = client_of(log), dict[int, bytes]()
    session = await client.session(name, window=WINDOW)
    worker = worker_for(log)
    said = random.Random(name)
    for turn in range(turns):
        text = " ".join(said.choices("alpha beta gamma delta error file worker".split(), k=words))
        await session.append(Message(role="user", content=(Text(f"Request {turn} of {name}."),)))
        await session.append(ToolCall(call_id=f"c{turn}", name="read", arguments="{}"))
        await session.append(ToolResult(call_id=f"c{turn}", content=(Text(text),)))
        if compacts:
            await worker.drain()
            found = await log.load_history(session.key)
            if found is not None:
                published[found.version] = found.body
            if turn in (turns - 3, turns - 1):
                context = await load(log, session.key)
                await log.save_snapshot(session.key, Snapshot(seq=context.seq, body=encode_context(context)))
    return session.key, published


def _hashes(events: Sequence[Recorded]) -> list[str]:
    return [history_of(fold(events[: seq + 1])).hash for seq in range(len(events))]


async def judge(directory: Path, truth: Truth, *, chance: random.Random) -> Judgement:
    """Start the server on a damaged store, ask everything of it, and compare."""
    server = EmbeddedServer(directory, profile="fast")
    named: list[str] = []
    silent: list[str] = []
    try:
        await server.start()
        async with connect_log(server.url) as log:
            for key, session in truth.sessions.items():
                await _Judge(log, key, session, named, silent).ask(chance)
            await _judge_list(log, truth, named, silent)
    except RetoldError as error:
        named.append(f"store: {error}")
    finally:
        await server.stop()
    return Judgement(tuple(named), tuple(silent))


async def _judge_list(log: JetStreamLog, truth: Truth, named: list[str], silent: list[str]) -> None:
    ends = {end.key: end for end in await log.sessions()}
    for key, session in truth.sessions.items():
        end = ends.pop(key, None)
        if end is None:
            silent.append(f"list: {key.session} is missing")
        elif end.damaged:
            named.append(f"list: {key.session} at {end.seq}")
        elif end.seq != len(session.bodies):
            silent.append(f"list: {key.session} ends at {end.seq} of {len(session.bodies)}")
    silent.extend(f"list: {key.session} never was" for key in ends)


class _Judge:
    """Ask everything of one session."""

    def __init__(self, log: JetStreamLog, key: SessionKey, right: Session, named: list[str], silent: list[str]) -> None:
        self.log, self.key, self.right, self.named, self.silent = log, key, right, named, silent

    async def ask(self, chance: random.Random) -> None:
        last = len(self.right.bodies)
        await self._read_all()
        for seq in (*chance.sample(range(1, last), JUDGED_SEQS), last):
            await self._history(seq)
        await self._history(None)
        await self._published()
        verdict = await verify(self.log, self.key)
        if not verdict.ok:
            self.named.append(f"verify: {self.key.session} at {verdict.damaged_seq}: {verdict.reason}")
        elif verdict.events != last:
            self._wrong(f"verifies with {verdict.events} of {last} events")

    async def _read_all(self) -> None:
        got: list[bytes] = []
        try:
            got += [recorded.body async for recorded in self.log.read(self.key)]
        except CorruptLogError as error:
            self.named.append(f"read: {error}")
            if error.seq > len(self.right.bodies) + 1:
                self._wrong(f"names sequence {error.seq}")
        else:
            if len(got) != len(self.right.bodies):
                self._wrong(f"reads {len(got)} of {len(self.right.bodies)} events")
        if got != self.right.bodies[: len(got)]:
            self._wrong("reads other bytes")

    async def _history(self, at: int | None) -> None:
        try:
            found = await history_at(self.log, self.key, at)
        except RetoldError as error:
            self.named.append(f"history at {at}: {error}")
            return
        if found.hash != self.right.hashes[(at or len(self.right.hashes)) - 1]:
            self._wrong(f"gives another history at {at}")

    async def _published(self) -> None:
        try:
            found = await self.log.load_history(self.key)
        except RetoldError as error:
            self.named.append(f"published: {error}")
            return
        if found is not None and found.body != self.right.published.get(found.version):
            self._wrong(f"has published another version {found.version}")

    def _wrong(self, what: str) -> None:
        self.silent.append(f"{self.key.session} {what}")


def flip(directory: Path, chance: random.Random) -> str:
    """Flip one bit and return where: every other time in the events, else in a file of a kind chosen evenly."""
    files = sorted(path for path in (directory / "jetstream").rglob("*") if path.is_file() and path.stat().st_size)
    kinds = sorted({(path.parts[-3] if "msgs" in path.parts else path.parent.name, path.name) for path in files})
    kind = chance.choice([("RETOLD_EVENTS", "1.blk"), chance.choice(kinds)])
    path = chance.choice([path for path in files if path.name == kind[1] and kind[0] in path.parts])
    body = bytearray(path.read_bytes())
    bit = chance.randrange(len(body) * 8)
    body[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(body))
    return f"{path.relative_to(directory)} bit {bit} of {len(body) * 8}"


def copied(store: Path, to: Path) -> Path:
    """Return a fresh copy of *store* at *to*, without its server's state."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(store / "jetstream", to / "jetstream")
    return to


def run_flips(stores: Sequence[tuple[Path, Truth]], to: Path, *, seeds: range) -> list[tuple[str, Judgement]]:
    """Flip one bit for each seed, in one store after the other, and return where, with what the log said."""
    found = []
    for seed in seeds:
        chance = random.Random(seed)
        store, truth = stores[seed % len(stores)]
        where = flip(copied(store, to), chance)
        found.append((where, asyncio.run(judge(to, truth, chance=chance))))
    return found
