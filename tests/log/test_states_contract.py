"""What every log promises about the states of all its sessions, in memory and on a real server."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from tests.log.conftest import Logs, log_over, raw_client, saying, take
from tests.log.test_damage import large
from tests.log.test_scan_contract import fill, keys_of

from retold.events import (
    Draft,
    Fact,
    ForkPoint,
    ItemAppended,
    Message,
    SessionKey,
    SessionOpened,
    SessionRewound,
    Text,
    ToolResult,
    UsageReported,
    Window,
)
from retold.fold import Run
from retold.log import scanning
from retold.log.link import Link
from retold.log.names import event_subject
from retold.ports import Log
from retold.replay import load, states


def stating(draft: Draft, fact: Fact) -> Draft:
    """Return *draft* with another fact."""
    return msgspec.structs.replace(draft, data=fact)


async def live(log: Log, keys: Sequence[SessionKey], drafts: Iterator[Draft]) -> None:
    """Let something else happen in each session but the first, and say something afterwards."""
    await fill(log, keys, drafts)
    long = saying(take(drafts, 1)[0], "the same words again " * 200)
    result = ToolResult(call_id="c", content=(Text("tab\there"),))
    facts: list[Fact] = [
        UsageReported(input_tokens=200),
        SessionRewound(to_seq=4),
        ItemAppended(item=Message(role="user", content=(Text("x"),), extra='{"chat":{"message":{"a":"b"}}}')),
        ItemAppended(item=result),
    ]
    for key, fact in zip(keys[1:], facts, strict=False):
        await log.append(key, [stating(take(drafts, 1)[0], fact)])
    await log.append(keys[5], [long])
    await log.append(keys[6], [large(take(drafts, 1)[0])])
    for key in keys[1:]:
        await log.append(key, take(drafts, 3))


async def check(log: Log, keys: Sequence[SessionKey], *, damaged: dict[SessionKey, int]) -> None:
    """Check that the states of *keys* are what loading each gives, and that those *damaged* are named so."""
    found = await states(log)
    assert {key: error.seq for key, error in found.damage.items() if key in keys} == damaged
    for key in keys:
        if key in damaged:
            assert key not in found.contexts
        else:
            assert found.contexts[key] == await load(log, key)


def test_the_states_are_what_loading_each_session_gives(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """I get every session's state at once, the very same as if I had asked for it alone, forks and rewinds included."""

    async def run() -> None:
        keys = keys_of(tenant, 8)
        async with logs.open() as log:
            await live(log, keys[:7], drafts)
            point = await log.head(keys[0])
            opened = SessionOpened(
                window=Window(hard_limit=1000),
                parent=ForkPoint(session=keys[0].session, seq=point.seq, head=point.hash),
            )
            await log.append(keys[7], [stating(take(drafts, 1)[0], opened)], expected=0)
            await log.append(keys[7], take(drafts, 2))
            await check(log, keys, damaged={})

    asyncio.run(run())


def test_states_do_not_depend_on_pages(
    logs: Logs, tenant: str, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is read at once and held back, the states are the same."""
    pull = msgspec.json.decode(scanning._PULL) | {"batch": 16}  # noqa: SLF001 - small pages for a small log
    monkeypatch.setattr(scanning, "_PULL", msgspec.json.encode(pull))
    monkeypatch.setattr(scanning, "PAGE_EVENTS", 16)
    monkeypatch.setattr(scanning, "HELD_BYTES_MAX", 1000)

    async def run() -> None:
        keys = keys_of(tenant, 7)
        async with logs.open() as log:
            await live(log, keys, drafts)
            await check(log, keys, damaged={})

    asyncio.run(run())


def test_a_damaged_session_has_no_state_and_the_others_have_theirs(
    logs: Logs, tenant: str, drafts: Iterator[Draft]
) -> None:
    """A session that has lost an event is named with its place, and hides no other."""

    async def run() -> None:
        keys = keys_of(tenant, 7)
        async with logs.open() as log:
            await live(log, keys, drafts)
            await logs.lose(keys[1], 5)
            await logs.lose(keys[3], 14)
            await check(log, keys, damaged={keys[1]: 5, keys[3]: 14})

    asyncio.run(run())


@pytest.mark.parametrize("written", [b'"robot"', b'us\xffr"', b'"user\\ud83d"'], ids=["no role", "no text", "half"])
def test_an_event_that_no_reader_takes_leaves_a_session_without_a_state(
    nats_url: str, tenant: str, drafts: Iterator[Draft], written: bytes
) -> None:
    """What a foreign program wrote into a session, well chained but no event, is never folded, nor what follows it."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with log_over(Link, nats_url) as log:
            await fill(log, keys, drafts)
            last = (await log.append(keys[0], take(drafts, 1)))[0]
            (next_one,) = await log.append(keys[1], take(drafts, 1))
            body = next_one.body.replace(keys[1].session.encode(), keys[0].session.encode())
            body = body.replace(next_one.event.prev.encode(), last.hash.encode()).replace(b'"user"', written)
            body = body.replace(b'"seq":14', b'"seq":15')
            async with raw_client(nats_url) as client:
                await client.jetstream().publish(event_subject(keys[0]), body, headers={"Retold-Seq": "15"})
            await check(log, keys, damaged={keys[0]: 15})

    asyncio.run(run())


def test_plain_sessions_come_in_runs(nats_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """Where sessions go on side by side, each comes as its opening and one run of all its items."""

    async def run() -> None:
        keys = keys_of(tenant, 5)
        async with log_over(Link, nats_url) as log:
            await fill(log, keys, drafts)
            parts = [one async for part in log.scan_runs() for one in part.events]
            mine = [one for one in parts if (one.key if isinstance(one, Run) else one.event.key) in keys]
            assert len(mine) == 2 * len(keys)
            assert [len(one.core) for one in mine if isinstance(one, Run)] == [12] * len(keys)

    asyncio.run(run())
