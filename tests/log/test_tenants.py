"""Two tenants on one server, in one account: what keeps their sessions apart is the log alone."""

import asyncio
import json
from collections.abc import Callable

import pytest
from tests.log.conftest import raw_client

from retold.client import Client
from retold.errors import CorruptLogError
from retold.events import SessionKey
from retold.lease_ports import PARTITIONS
from retold.log import names
from retold.wiring import connect

LARGE = "large, and not to be packed below a claim: " + "".join(f"{number * number:x}" for number in range(120_000))
CLAIM = "Retold-Claim"

SUBJECTS: dict[str, Callable[[SessionKey], str]] = {
    "events": names.event_subject,
    "snapshots": names.snapshot_subject,
    "snapshots-aside": lambda key: names.snapshot_subjects(key)[1],
    "heads": names.head_subject,
    "beginnings": names.beginning_subject,
    "dead": names.dead_subject,
    "histories": names.history_subject,
    "keys": lambda key: names.data_key_subject(key, "0.1").rsplit(".", 2)[0],
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_every_subject_names_tenant_and_session(subject: Callable[[SessionKey], str]) -> None:
    """Two sessions never share a subject, whatever their tenants and names are, and each subject tells whose it is."""
    words = ["a", "b", "rebuilt", "a-b", "a_b", "=", "-"]
    keys = [SessionKey(tenant=tenant, session=session) for tenant in words for session in words]
    assert [names.key_of(subject(key)) for key in keys] == keys
    assert len({subject(key) for key in keys}) == len(keys)


def test_two_kinds_of_subject_never_meet() -> None:
    """No name of a tenant or a session makes one stream's subject another's, or one use of it another."""
    words = ["a", "rebuilt", "RETOLD_KEYS", "snap", "ev", "0"]
    keys = [SessionKey(tenant=tenant, session=session) for tenant in words for session in words]
    made = [subject(key) for subject in SUBJECTS.values() for key in keys]
    assert len(set(made)) == len(made)
    assert {int(names.event_subject(key).split(".")[2]) for key in keys} <= set(range(PARTITIONS))


async def _claimed(client: Client, url: str, key: SessionKey) -> dict[str, str]:
    """Append a large body to *key* and return the headers that would claim it for a message of somebody else."""
    session = await client.session(key.session, tenant=key.tenant)
    await session.append({"role": "user", "content": LARGE})
    async with raw_client(url) as raw:
        message = await raw.jetstream().get_last_msg("RETOLD_EVENTS", names.event_subject(key))
    return {CLAIM: (message.headers or {})[CLAIM], "Retold-Seq": "2", "Retold-Version": "1", "Retold-Base-Seq": "1"}


async def _forge(url: str, subject: str, headers: dict[str, str]) -> None:
    """Write a message of one's own that claims what *headers* name."""
    claim = json.dumps({"sha256": headers[CLAIM], "size": len(LARGE)}).encode()
    async with raw_client(url) as raw:
        await raw.jetstream().publish(subject, claim, headers=headers)


async def _of_two(client: Client, tenant: str) -> tuple[SessionKey, SessionKey]:
    """Return a session of an owner, which is to be filled, and one of a thief."""
    thief = await client.session("s", tenant=f"{tenant}-thief")
    await thief.append({"role": "user", "content": "mine"})
    return SessionKey(tenant=f"{tenant}-owner", session="s"), thief.key


def test_a_forged_claim_shows_nothing_of_another_tenant(nats_url: str, tenant: str) -> None:
    """Who names another tenant's large body in an event or a history of their own is told that it is damaged."""

    async def run() -> None:
        async with connect(nats_url) as client:
            owner, thief = await _of_two(client, tenant)
            headers = await _claimed(client, nats_url, owner)
            await _forge(nats_url, names.event_subject(thief), headers | {"Retold-Seq": "3"})
            await _forge(nats_url, names.history_subject(thief), headers)
        async with connect(nats_url) as client:
            with pytest.raises(CorruptLogError) as told:
                await (await client.existing("s", tenant=thief.tenant)).history()
            assert LARGE[:20] not in str(told.value)
            with pytest.raises(CorruptLogError):
                await client.log.load_history(thief)

    asyncio.run(run())


def test_an_erasure_leaves_what_another_tenant_stored(nats_url: str, tenant: str) -> None:
    """Who claims another tenant's large body and then erases the session that claims it removes nothing of theirs."""

    async def run() -> None:
        async with connect(nats_url) as client:
            owner, thief = await _of_two(client, tenant)
            await _forge(nats_url, names.history_subject(thief), await _claimed(client, nats_url, owner))
            found = await (await client.existing("s", tenant=thief.tenant)).erase(by="thief", reason="theft")
            assert found.blobs == 0
        async with connect(nats_url) as client:
            session = await client.existing("s", tenant=owner.tenant)
            assert LARGE in str((await session.history()).as_chat())

    asyncio.run(run())
