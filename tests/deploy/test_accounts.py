"""Tenants as accounts of one server, with the configuration that is shipped: who sees and may do what."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256

import nats
import pytest
from nats.aio.client import Client as RawClient
from tests.deploy.accounts import Accounts, running_accounts

from retold.client import Client
from retold.errors import InputError, UnavailableError
from retold.events import SessionKey, Window
from retold.log import JetStreamLog, names
from retold.wiring import connect, run_worker

SESSIONS = 10
WAIT_S = 20.0
LARGE = "".join(f"{number * number:x}" for number in range(120_000))
WINDOW = Window(hard_limit=2_000)
READABLE = (names.EVENTS, names.SNAPSHOTS, names.HEADS, names.DEAD, names.HISTORIES, names.BLOBS)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """Give a server with the shipped accounts, whose streams each account's admin has created."""
    with running_accounts(tmp_path_factory.mktemp("accounts")) as found:

        async def run() -> None:
            for tenant in ("acme", "globex"):
                async with connect(found.url(tenant, "admin")):
                    pass

        asyncio.run(run())
        yield found


@asynccontextmanager
async def _raw(url: str) -> AsyncIterator[tuple[RawClient, asyncio.Queue[str]]]:
    """Connect as any NATS program would; what the server reproaches it with goes into the queue."""
    told = asyncio.Queue[str]()

    async def run(error: Exception) -> None:
        told.put_nowait(str(error))

    client = await nats.connect(url, error_cb=run)
    try:
        yield client, told
    finally:
        await client.close()


def _canary(tenant: str, number: int) -> str:
    return f"canary-{tenant}-{number}-{sha256(f'{tenant}/{number}'.encode()).hexdigest()}"


def _refusals(client: Client) -> int:
    """Return how often the server has refused what *client* did, also what it did not wait for."""
    assert isinstance(client.log, JetStreamLog)
    return client.log.broker.faults.counts()["no_permission"]


async def _everything(url: str) -> str:
    """Return all that a user can get at by the client: lists, states, histories, events, as text."""
    async with connect(url) as client:
        ends = await client.sessions()
        shown = [str(ends), str(await client.states())]
        for end in ends:
            session = await client.existing(end.key.session, tenant=end.key.tenant)
            shown.append(str(await session.history()))
            async with aclosing(client.log.read(end.key)) as events:
                shown += [one.body.decode() async for one in events]
    return "\n".join(shown)


async def _stored(url: str) -> str:
    """Return every message of every stream that a user can get at by NATS itself, as text."""
    found = list[str]()
    async with _raw(url) as (raw, _):
        for stream in READABLE:
            info = json.loads((await raw.request(f"$JS.API.STREAM.INFO.{stream}", timeout=WAIT_S)).data)
            for position in range(1, info["state"]["last_seq"] + 1):
                asked = json.dumps({"seq": position}).encode()
                message = await raw.request(f"$JS.API.DIRECT.GET.{stream}", asked, timeout=WAIT_S)
                found.append(f"{message.headers} {message.data.decode('utf-8', 'replace')}")
    return "\n".join(found)


def test_ten_sessions_with_a_canary_each_are_never_read_across(accounts: Accounts) -> None:
    """Sessions of the same names, under the same tenant name even, in two accounts: nobody reads the other's."""

    async def run() -> None:
        for tenant in ("acme", "globex"):
            async with connect(accounts.url(tenant, "agent")) as client:
                for number in range(SESSIONS):
                    session = await client.session(f"same-{number}", tenant="shared")
                    await session.append({"role": "user", "content": _canary(tenant, number)})
        for tenant, other in (("acme", "globex"), ("globex", "acme")):
            for role in ("agent", "worker", "admin"):
                shown = await _everything(accounts.url(tenant, role)) + await _stored(accounts.url(tenant, role))
                assert all(_canary(tenant, number) in shown for number in range(SESSIONS))
                assert f"canary-{other}" not in shown

    asyncio.run(run())


def test_a_listener_hears_nothing_of_another_account(accounts: Accounts) -> None:
    """Not even the admin of one account, who may listen to everything, hears what is appended in another."""

    async def run() -> None:
        heard = list[str]()
        async with _raw(accounts.url("globex", "admin")) as (raw, _):
            listening = await raw.subscribe(">")
            async with connect(accounts.url("acme", "agent")) as client:
                await (await client.session("heard")).append({"role": "user", "content": "canary-acme-heard"})
            await raw.publish("own.word", b"own")
            async with asyncio.timeout(WAIT_S):
                async for message in listening.messages:
                    heard.append(message.subject)
                    if message.subject == "own.word":
                        break
        assert not [subject for subject in heard if subject.startswith("retold.")]

    asyncio.run(run())


def test_a_session_of_another_account_cannot_be_guessed(accounts: Accounts) -> None:
    """Who asks by name for a session of another account is told what is told of one that never was."""

    async def run() -> None:
        async with connect(accounts.url("acme", "agent")) as client:
            await client.session("guessed")
        async with connect(accounts.url("globex", "agent")) as client:
            answers = []
            for name in ("guessed", "never-was"):
                with pytest.raises(InputError) as refused:
                    await client.existing(name)
                answers.append(str(refused.value).replace(name, "NAME"))
        assert answers[0] == answers[1]

    asyncio.run(run())


def test_writing_to_a_name_of_another_account_leaves_its_session_as_it_was(accounts: Accounts) -> None:
    """The same name in two accounts is two sessions: each grows alone."""

    async def run() -> None:
        ends = []
        for tenant, times in (("acme", 1), ("globex", 3)):
            async with connect(accounts.url(tenant, "agent")) as client:
                session = await client.session("grows")
                for _ in range(times):
                    await session.append({"role": "user", "content": tenant})
        for tenant in ("acme", "globex"):
            async with connect(accounts.url(tenant, "agent")) as client:
                ends.append((await client.log.head(SessionKey(tenant="default", session="grows"))).seq)
        assert ends == [2, 4]

    asyncio.run(run())


def test_an_agent_does_its_work_with_the_least_it_may(accounts: Accounts) -> None:
    """An agent appends one and many, small and large, reads its history and the past, forks, lists and follows."""

    async def run() -> None:
        async with connect(accounts.url("acme", "agent")) as client:
            session = await client.session("work", window=Window(hard_limit=1_000_000))
            await session.append({"role": "user", "content": "first"})
            await client.append("work", [{"role": "user", "content": f"of many {n}"} for n in range(3)])
            await session.append({"role": "user", "content": LARGE})
            await client.append_many(
                {f"fleet-{n}": [{"role": "user", "content": "x"}] for n in range(3)}, window=WINDOW
            )
            assert len((await session.history()).as_chat()) == 5
            assert len((await session.history(at=2)).as_chat()) == 1
            fork = await session.fork("work-too", at=4)
            assert len((await fork.history()).as_chat()) == 3
            assert {"work", "work-too", "fleet-2"} <= {end.key.session for end in await client.sessions()}
            async with aclosing(client.log.follow(session.key)) as events, asyncio.timeout(WAIT_S):
                assert [(await anext(events)).event.seq for _ in range(6)] == [1, 2, 3, 4, 5, 6]
            assert _refusals(client) == 0

    asyncio.run(run())


def test_a_worker_compacts_with_the_least_it_may(accounts: Accounts) -> None:
    """A worker's user folds, compacts, keeps snapshots and publishes; an agent's user reads what came of it."""

    async def run() -> None:
        async with connect(accounts.url("globex", "agent")) as client:
            session = await client.session("compacted", window=WINDOW)
            for number in range(30):
                await session.append({"role": "user", "content": f"Look at failure {number}. " * 20})
        async with connect(accounts.url("globex", "worker"), actor="worker") as worker, run_worker(worker) as running:
            async with asyncio.timeout(WAIT_S):
                await running.drain()
            assert running.damaged == {}
            assert _refusals(worker) == 0
        async with connect(accounts.url("globex", "agent")) as client:
            session = await client.existing("compacted")
            history = await session.history()
            published = await client.log.load_history(session.key)
            assert history.version > 0
            assert published is not None
            assert published.version == history.version

    asyncio.run(run())


def test_an_agent_watches_what_workers_make_of_its_session(accounts: Accounts) -> None:
    """An agent's user is given each history that a worker publishes, and reads what it wrote itself."""

    async def run() -> None:
        async with (
            connect(accounts.url("acme", "agent")) as client,
            connect(accounts.url("acme", "worker"), actor="worker") as worker,
            run_worker(worker),
            asyncio.timeout(WAIT_S),
        ):
            session = await client.session("watched", window=WINDOW)
            seq = 0
            for number in range(30):
                seq = await session.append({"role": "user", "content": f"Look at failure {number}. " * 20})
            async with aclosing(session.watch()) as histories:
                assert (await anext(histories)).version > 0
            assert (await session.history(at_least=seq)).seq >= seq

    asyncio.run(run())


def test_an_editor_takes_back_what_was_said(accounts: Accounts) -> None:
    """An editor's user rewinds a session, which replaces what is published."""

    async def run() -> None:
        async with connect(accounts.url("acme", "editor")) as client:
            session = await client.session("taken-back")
            await session.append({"role": "user", "content": "one"})
            await session.append({"role": "user", "content": "two"})
            await session.rewind(to=2)
            assert len((await session.history()).as_chat()) == 1
            assert _refusals(client) == 0

    asyncio.run(run())


def test_who_lacks_a_permission_is_told_so_and_does_not_wait(accounts: Accounts) -> None:
    """What an agent's user may not do fails at the server's word, naming what it may not, and no session."""

    async def run() -> None:
        async with connect(accounts.url("acme", "agent")) as client, asyncio.timeout(WAIT_S):
            session = await client.session("not-permitted")
            await session.append({"role": "user", "content": "one"})
            with pytest.raises(UnavailableError, match="does not let this user publish to") as refused:
                await session.rewind(to=1)
            assert "not-permitted" not in str(refused.value)
            assert len((await session.history()).as_chat()) == 0, "the rewind itself is an event, and recorded"

    asyncio.run(run())


_DERIVED = (
    "retold.snap.default.work",
    "retold.snap.rebuilt.default.work",
    "retold.begin.default.work",
    "retold.dead.default.work",
    "$KV.RETOLD_HISTORIES.default.work",
    "$KV.RETOLD_LEASES.0",
)
_RULE = tuple(
    f"$JS.API.{verb}.{stream}"
    for stream in ("RETOLD_EVENTS", "KV_RETOLD_KEYS")
    for verb in ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE")
)
_FOREIGN = ("retold.ev.0.default", "anything", "$SYS.REQ.ACCOUNT.PING", "$SYS.REQ.SERVER.PING", "_INBOX.other")


@pytest.mark.parametrize(
    ("role", "subjects"),
    [
        ("agent", (*_DERIVED, *_RULE, *_FOREIGN)),
        ("editor", (*[one for one in _DERIVED if "HISTORIES" not in one], *_RULE, *_FOREIGN)),
        ("worker", ("retold.begin.default.work", *_RULE, *_FOREIGN)),
    ],
)
def test_a_user_is_refused_what_its_role_does_not_need(
    accounts: Accounts, role: str, subjects: tuple[str, ...]
) -> None:
    """What only workers derive no agent writes; no role but the admin's changes, purges or removes a stream."""

    async def run() -> None:
        async with _raw(accounts.url("acme", role)) as (raw, told):
            for subject in subjects:
                await raw.publish(subject, b"{}")
            async with asyncio.timeout(WAIT_S):
                refused = [(await told.get()).partition('"')[2].rstrip('"') for _ in subjects]
            assert refused == [subject.lower() for subject in subjects]

    asyncio.run(run())


@pytest.mark.parametrize("role", ["agent", "editor", "worker"])
def test_a_user_listens_to_its_own_answers_alone(accounts: Accounts, role: str) -> None:
    """No role but the admin's may listen to what others write."""

    async def run() -> None:
        async with _raw(accounts.url("acme", role)) as (raw, told):
            for subject in (">", "retold.>", "$KV.>", "$JS.>", "$SYS.>"):
                await raw.subscribe(subject)
            async with asyncio.timeout(WAIT_S):
                assert len([await told.get() for _ in range(5)]) == 5

    asyncio.run(run())


def test_an_answer_sent_to_a_derived_stream_deceives_nobody(accounts: Accounts) -> None:
    """NATS lets a user name any subject as a reply; what lands in a derived stream that way is passed over."""

    async def run() -> None:
        async with connect(accounts.url("acme", "agent")) as client:
            session = await client.session("forged")
            await session.append({"role": "user", "content": "true"})
            before = await session.history()
        async with _raw(accounts.url("acme", "agent")) as (raw, told):
            for subject in (names.snapshot_subject(session.key), names.history_subject(session.key)):
                await raw.publish("$JS.API.INFO", reply=subject)
                await raw.publish("$JS.API.DIRECT.GET.RETOLD_EVENTS", b'{"seq":1}', reply=subject)
            await raw.request("$JS.API.INFO", timeout=WAIT_S)
            assert told.empty()
        async with connect(accounts.url("acme", "agent")) as client:
            again = await client.existing("forged")
            assert await again.history() == before

    asyncio.run(run())
