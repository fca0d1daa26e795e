"""Snapshots along a session: what they share is stored once, any is found, and none gives a wrong state."""

import asyncio
import random
import zlib
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from tests.laws.stories import Move, Story, long_story
from tests.log.conftest import api, take

from retold.events import Draft, Recorded, SessionKey
from retold.fold import Context, decode_context, encode_context, encode_history, fold, replacement_of
from retold.log.embedded import EmbeddedServer
from retold.log.jetstream import JetStreamLog, connect_log
from retold.log.names import SNAPSHOTS, snapshot_subject
from retold.log.packing import pack, unpack
from retold.log.segments import NOTHING_STORED, Segmented, cut, keep, restore, runs_of
from retold.log.steps import Step, extended, next_read
from retold.ports import Before, Published, Snapshot, snapshot_of

_VERBS = ("user", "say", "think", "call", "result", "system", "pin", "edit", "rewind", "restore", "compact", "extend")


def _told(seed: int, *, length: int = 90) -> list[Recorded]:
    return Story().tell(long_story(seed, length=length, verbs=_VERBS)).events


def _states(events: list[Recorded], every: int) -> list[Context]:
    return [fold(events[:at]) for at in range(every, len(events) + 1, every)]


def _kept_all(bodies: list[bytes]) -> dict[int, Segmented]:
    """Keep *bodies* one after the other at positions 1, 2, 3 …."""
    layout, kept = NOTHING_STORED, dict[int, Segmented]()
    for position, body in enumerate(bodies, start=1):
        kept[position], laid = keep(body, layout)
        layout = laid.layout(position, position)
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_states_are_given_back_to_the_byte(seed: int) -> None:
    """Whatever happened between them, states that share their entries are each what they were."""
    bodies = [encode_context(state) for state in _states(_told(seed), 3)]
    kept = _kept_all(bodies)
    for position, body in enumerate(bodies, start=1):
        assert restore(kept[position], kept) == body


def test_what_states_share_is_stored_once() -> None:
    """A hundred states of a growing session take about as much room as the last of them."""
    events = Story().tell([Move(verb, at % 12) for at in range(100) for verb in ("user", "say")]).events
    bodies = [encode_context(state) for state in _states(events, 2)]
    kept = _kept_all(bodies)
    alone = keep(bodies[-1], NOTHING_STORED)[0]
    assert sum(one.stored_bytes for one in kept.values()) == alone.stored_bytes
    assert sum(map(len, bodies)) > 40 * alone.stored_bytes


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_or_missing_part_gives_nothing(seed: int) -> None:
    """With a bit flipped anywhere, or a message lost, a state is not had; it is never another one."""
    bodies = [encode_context(state) for state in _states(_told(seed), 5)]
    kept = _kept_all(bodies)
    last = max(position for position in kept if kept[position].sources)
    lost = kept[last].sources[0].position
    assert restore(kept[last], {at: one for at, one in kept.items() if at != lost}) is None
    chance = random.Random(seed)
    for _ in range(60):
        source = kept[lost]
        segments = [bytearray(segment) for segment in source.segments]
        segment = chance.choice(segments)
        segment[chance.randrange(len(segment))] ^= 1 << chance.randrange(8)
        damaged = structs.replace(source, segments=tuple(map(bytes, segments)))
        restored = restore(kept[last], {**kept, lost: damaged})
        assert restored is None or restored == bodies[last - 1]
    runs = runs_of(kept[last])
    for run in runs:
        wrong = [structs.replace(one, first=one.first + 1) if one is run else one for one in runs]
        packed = zlib.compress(msgspec.msgpack.encode(wrong))
        assert restore(structs.replace(kept[last], runs=packed), kept) is None
    assert restore(structs.replace(kept[last], runs=b"x"), kept) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"entries":1}', b'{"entries":[]}', b'{"entries":[ {} ]}', b'{"context":[1]}', b"\xff"]
)
def test_any_body_is_given_back(body: bytes) -> None:
    """What is no state, or is written otherwise than we write, is kept whole."""
    assert cut(body) == body
    assert restore(keep(body, NOTHING_STORED)[0], {}) == body


def test_any_snapshot_is_reached_in_a_few_reads() -> None:
    """Of a thousand snapshots each names at most fifty others, and any is found by five reads at most."""

    def step(number: int) -> Step:
        return Step(number=number, position=number * 7 + 1, seq=number, latest_us=0, next_item=0, version=0)

    steps: list[tuple[Step, ...]] = [()]
    for number in range(1, 1100):
        steps.append(extended(steps[-1], step(number - 1)))
    assert max(map(len, steps)) <= 50
    for last in (1, 15, 16, 17, 255, 256, 257, 300, 1099):
        for target in range(last):
            at, reads = last, 1
            while True:
                below, above = next_read(steps[at], lambda one, seq=target: one.seq <= seq, before=at)  # type: ignore[misc]
                reads += 1
                if above is None:
                    break
                at = above.number
            assert below == step(target)
            assert reads <= 5


@pytest.mark.parametrize(
    "text", [b"", b"short", b"long " * 1000, bytes(range(256)) * 20, random.Random(1).randbytes(5000)]
)
def test_packing_gives_back_every_byte(text: bytes) -> None:
    """What is packed is unpacked to the byte, and is never longer than it was."""
    headers: dict[str, str] = {}
    packed = pack(text, headers)
    assert unpack(packed, headers) == text
    assert len(packed) <= len(text)
    if headers:
        assert unpack(packed[:-1], headers) != text
        assert unpack(packed + b"x", headers) != text


async def _filled(
    log: JetStreamLog, key: SessionKey, *, seed: int = 1, length: int = 90, every: int = 3
) -> list[Context]:
    """Keep a snapshot of every third state of a story; return all of the states."""
    events = Story().tell(long_story(seed, length=length, verbs=_VERBS)).events
    states = [structs.replace(state, key=key) for state in _states(events, 1)]
    for state in states[every - 1 :: every]:
        await log.save_snapshot(key, snapshot_of(state))
    return states


def test_any_snapshot_is_found_by_sequence_time_item_and_version(nats_url: str, key: SessionKey) -> None:
    """I find the newest snapshot before any event, time, item or replacement, as if I had looked through all."""

    async def run() -> None:
        async with connect_log(nats_url) as log:
            states = await _filled(log, key, every=2)
        kept = [snapshot_of(state) for state in states[1::2]]
        assert len(kept) > 40
        async with connect_log(nats_url) as log:
            assert [one async for one in log.snapshots(key)] == kept
            for state in states:
                assert state.latest is not None
                for before in (
                    Before(seq=state.seq),
                    Before(at=state.latest),
                    Before(at=state.latest - timedelta(microseconds=1)),
                    Before(item=state.next_item),
                    Before(version=state.version),
                ):
                    expected = next((one for one in reversed(kept) if before.holds(one)), None)
                    assert await log.find_snapshot(key, before) == expected
            assert await log.find_snapshot(key, Before(at=datetime(2000, 1, 1, tzinfo=UTC))) is None

    asyncio.run(run())


def test_two_who_write_snapshots_do_no_harm(nats_url: str, key: SessionKey) -> None:
    """Two workers that keep snapshots of one session in turn leave all of them, each whole."""

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as other:
            states = [structs.replace(state, key=key) for state in _states(_told(2), 4)]
            for at, state in enumerate(states):
                await (log, other)[at % 2].save_snapshot(key, snapshot_of(state))
        async with connect_log(nats_url) as log:
            assert [one async for one in log.snapshots(key)] == [snapshot_of(state) for state in states]

    asyncio.run(run())


async def _positions(url: str, key: SessionKey) -> list[int]:
    found: list[int] = []
    while True:
        got = await api(
            url,
            f"STREAM.MSG.GET.{SNAPSHOTS}",
            {"seq": (found[-1] if found else 0) + 1, "next_by_subj": snapshot_subject(key)},
        )
        message = got.get("message")
        if not isinstance(message, dict):
            return found
        found.append(message["seq"])


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1, 7, -1])
def test_a_lost_snapshot_is_gone_around(nats_url: str, key: SessionKey, lost: int) -> None:
    """Whichever snapshot the store loses, what I find is an earlier whole one or nothing, and the next are kept."""

    async def run() -> None:
        async with connect_log(nats_url) as log:
            states = await _filled(log, key, length=60)
        by_seq = {state.seq: encode_context(state) for state in states}
        position = (await _positions(nats_url, key))[lost]
        await api(nats_url, f"STREAM.MSG.DELETE.{SNAPSHOTS}", {"seq": position})
        async with connect_log(nats_url) as log:
            for state in states:
                found = await log.load_snapshot(key, until=state.seq)
                assert found is None or (found.seq <= state.seq and found.body == by_seq[found.seq])
            newest = structs.replace(states[-1], seq=states[-1].seq + 1)
            await log.save_snapshot(key, snapshot_of(newest))
        async with connect_log(nats_url) as log:
            assert await log.load_snapshot(key) == snapshot_of(newest)

    asyncio.run(run())


def test_a_published_history_names_what_a_snapshot_holds(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """My published history is read back to the byte, and takes little room beside the snapshot of the same state."""

    async def run() -> None:
        async with connect_log(nats_url) as log:
            await log.append(key, take(drafts, 3))
            state = max(_states(_told(3), 1), key=lambda one: len(one.entries))
            state = structs.replace(state, key=key, base_seq=state.seq)
            await log.save_snapshot(key, snapshot_of(state))
            history = replacement_of(state)
            body = encode_history(history)
            assert len(body) > 20_000
            published = Published(version=1, seq=state.seq, base_seq=state.seq, hash=history.hash, body=body)
            assert await log.publish_history(key, published)
        got = await api(
            nats_url,
            "STREAM.MSG.GET.KV_RETOLD_HISTORIES",
            {"last_by_subj": f"$KV.RETOLD_HISTORIES.{key.tenant}.{key.session}"},
        )
        message = got["message"]
        assert isinstance(message, dict)
        assert len(message["data"]) < len(body) / 20
        async with connect_log(nats_url) as log:
            assert await log.load_history(key) == published

    asyncio.run(run())


def test_a_store_of_the_release_before_is_brought_up_to_date(tmp_path: Path) -> None:
    """When I upgrade, the stream that kept two snapshots a session keeps all from then on."""

    async def run() -> None:
        key = SessionKey(tenant="t", session="s")
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            async with connect_log(server.url):
                pass
            info = await api(server.url, f"STREAM.INFO.{SNAPSHOTS}", {})
            config = info["config"]
            assert isinstance(config, dict)
            await api(server.url, f"STREAM.UPDATE.{SNAPSHOTS}", config | {"max_msgs_per_subject": 2})
            async with connect_log(server.url) as log:
                states = [structs.replace(state, key=key) for state in _states(_told(1), 9)]
                for state in states:
                    await log.save_snapshot(key, snapshot_of(state))
                assert len([one async for one in log.snapshots(key)]) == len(states) > 2

    asyncio.run(run())


def test_a_swap_puts_new_projections_in_place_and_the_next_snapshot_follows(nats_url: str, key: SessionKey) -> None:
    """After a swap, and another, I find the new snapshots and the new history, and the worker's next snapshot too."""

    async def run() -> None:
        states = [structs.replace(state, key=key) for state in _states(_told(4), 2)]
        history = replacement_of(states[-1])
        published = Published(version=2, seq=9, base_seq=9, hash=history.hash, body=encode_history(history))

        async def made(chosen: list[Context]) -> AsyncGenerator[Snapshot | Published, None]:
            for state in chosen:
                yield snapshot_of(state)
            yield published

        async with connect_log(nats_url) as log:
            for state in states[:5]:
                await log.save_snapshot(key, snapshot_of(state))
            for chosen in (states[:-1], states[1:-1:2]):
                await log.swap_projections(key, made(chosen))
                async with connect_log(nats_url) as other:
                    for reader in (log, other):
                        kept = [one async for one in reader.snapshots(key)]
                        assert kept[:-1] == [snapshot_of(state) for state in chosen]
                        assert kept[-1] == kept[-2]
                        for state in chosen:
                            assert await reader.load_snapshot(key, until=state.seq) == snapshot_of(state)
                        assert await reader.load_history(key) == published
            await log.save_snapshot(key, snapshot_of(states[-1]))
        async with connect_log(nats_url) as log:
            newest = await log.load_snapshot(key)
            assert newest is not None
            assert decode_context(newest.body, key=key) == states[-1]
            assert await log.load_snapshot(key, until=chosen[0].seq) == snapshot_of(chosen[0])

    asyncio.run(run())


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_swap_that_is_broken_off_leaves_what_was_there(nats_url: str, key: SessionKey, after: int) -> None:
    """If the process dies while snapshots are written aside, everyone finds the old ones, and the next swap works."""

    async def run() -> None:
        states = [structs.replace(state, key=key) for state in _states(_told(5), 6)]
        kept = [snapshot_of(state) for state in states]

        async def made(until: int) -> AsyncGenerator[Snapshot, None]:
            for one in kept[:until]:
                yield one
            if until < len(kept):
                raise ZeroDivisionError

        async with connect_log(nats_url) as log:
            for one in kept[:5]:
                await log.save_snapshot(key, one)
            with pytest.raises(ZeroDivisionError):
                await log.swap_projections(key, made(after))
            for reader in (log, await JetStreamLog.open(nats_url)):
                assert [one async for one in reader.snapshots(key)] == kept[:5]
                assert await reader.load_snapshot(key, until=kept[2].seq) == kept[2]
            await reader.swap_projections(key, made(len(kept)))
            assert await log.load_snapshot(key, until=kept[-2].seq) == kept[-2]
            await reader.close()

    asyncio.run(run())
