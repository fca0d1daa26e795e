"""What every log promises about appending to many sessions at once, in memory and on a real server."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.log.conftest import Logs, all_seqs, log_over, raw_client, read, saying, take

from retold.errors import ConflictError, InputError
from retold.events import Draft, Head, SessionKey, check_follows
from retold.log.link import Link
from retold.log.names import CLAIM_BYTES, EVENTS, PACKED, event_subject
from retold.log.packing import DEFLATE
from retold.ports import Log, Row, RowEnd


def keys_of(tenant: str, number: int) -> list[SessionKey]:
    """Return *number* sessions."""
    return [SessionKey(tenant=tenant, session=f"s{at}") for at in range(number)]


async def check_stored(log: Log, row: Row, end: RowEnd, *, after: int = 0) -> None:
    """Check that the session holds what the row was told is stored, in its order, and nothing else behind *after*."""
    events = await read(log, row.key)
    stored = [recorded.event.id for recorded in events[after:]]
    assert stored == [draft.id for drafts in row.appends[: end.appended] for draft in drafts]
    head = Head()
    for recorded in events:
        check_follows(recorded, head=head, key=row.key)
        head = recorded.head
    if end.appended:
        assert end.head == head


@pytest.mark.parametrize("sizes", [[1] * 40, [1, 3, 1, 1, 2] * 4])
def test_rows_are_appended_in_order(logs: Logs, tenant: str, drafts: Iterator[Draft], sizes: list[int]) -> None:
    """When I append to many sessions at once, each gets its own events, in my order and without a gap."""

    async def run() -> None:
        rows = [Row(key=key, appends=[take(drafts, size) for size in sizes]) for key in keys_of(tenant, 12)]
        async with logs.open() as log, logs.open() as another:
            ends = await log.append_rows(rows)
            assert all(end.error is None and end.appended == len(sizes) for end in ends)
            for row, end in zip(rows, ends, strict=True):
                await check_stored(another, row, end)

    asyncio.run(run())


def test_repeating_rows_stores_nothing_twice(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Repeating the call gives the same ends, from this process or another, also when somebody wrote since."""

    async def run() -> None:
        keys = keys_of(tenant, 5)
        rows = [Row(key=key, appends=[take(drafts, 1 + at % 2) for at in range(6)]) for key in keys]
        async with logs.open() as log, logs.open() as another:
            ends = await log.append_rows(rows)
            assert await log.append_rows(rows) == ends
            await another.append(keys[0], take(drafts, 1))
            assert await log.append_rows(rows) == ends
            assert await another.append_rows(rows) == ends
            assert await all_seqs(log, keys[1]) == list(range(1, 10))

    asyncio.run(run())


def test_a_row_whose_place_is_taken_is_a_conflict_and_the_others_go_on(
    logs: Logs, tenant: str, drafts: Iterator[Draft]
) -> None:
    """A session that ends elsewhere than I said gets nothing and I am told where it ends; the others get theirs."""

    async def run() -> None:
        keys = keys_of(tenant, 4)
        async with logs.open() as log, logs.open() as another:
            await log.append_rows([Row(key=key, appends=[take(drafts, 1)], expected=0) for key in keys])
            await another.append(keys[2], take(drafts, 2))
            rows = [Row(key=key, appends=[take(drafts, 1) for _ in range(3)], expected=1) for key in keys]
            ends = await log.append_rows(rows)
            for row, end in zip(rows, ends, strict=True):
                if row.key == keys[2]:
                    assert isinstance(end.error, ConflictError)
                    assert (end.error.expected, end.error.actual) == (1, 3)
                    assert (end.appended, end.head) == (0, None)
                else:
                    await check_stored(log, row, end, after=1)
            assert await all_seqs(log, keys[2]) == [1, 2, 3]

    asyncio.run(run())


def test_rows_move_behind_other_writers(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """When several processes append rows to the same sessions, everything gets in once, each one's in its order."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with logs.open() as one, logs.open() as two:
            parts = [
                [Row(key=key, appends=[take(drafts, 1 + at % 3) for at in range(8)]) for key in keys] for _ in range(2)
            ]
            ends = await asyncio.gather(one.append_rows(parts[0]), two.append_rows(parts[1]))
            assert all(end.error is None for part in ends for end in part)
            for at, key in enumerate(keys):
                stored = [recorded.event.id for recorded in await read(one, key)]
                assert len(stored) == 2 * 15
                for part in parts:
                    mine = [draft.id for append in part[at].appends for draft in append]
                    assert [draft for draft in stored if draft in set(mine)] == mine

    asyncio.run(run())


def test_a_draft_that_no_reader_takes_ends_its_row_alone(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """A mistake in one session's drafts is named there; what came before it is stored, nothing behind it is tried."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with logs.open() as log:
            await log.append_rows([Row(key=key, appends=[take(drafts, 1)]) for key in keys])
            rows = [Row(key=key, appends=[take(drafts, 1) for _ in range(4)]) for key in keys]
            bad = saying(take(drafts, 1)[0], 7)  # type: ignore[arg-type] # the mistake
            rows[1] = Row(key=keys[1], appends=[rows[1].appends[0], [bad], rows[1].appends[2]])
            rows[2] = Row(key=keys[2], appends=[rows[2].appends[0], []])
            ends = await log.append_rows(rows)
            assert [end.appended for end in ends] == [4, 1, 1]
            assert [type(end.error) for end in ends] == [type(None), InputError, InputError]
            assert "expected `str`" in str(ends[1].error) or "expected str" in str(ends[1].error)
            for row, end in zip(rows, ends, strict=True):
                await check_stored(log, row, end, after=1)

    asyncio.run(run())


def test_a_large_event_keeps_its_place_in_a_row(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """An event that is too large for a message goes in at its place, like any other."""

    async def run() -> None:
        key = keys_of(tenant, 1)[0]
        async with logs.open() as log:
            await log.append(key, take(drafts, 1))
            appends = [take(drafts, 1) for _ in range(3)]
            appends[1] = [saying(appends[1][0], "x" * (CLAIM_BYTES + 1))]
            row = Row(key=key, appends=appends)
            (end,) = await log.append_rows([row])
            assert (end.appended, end.error) == (3, None)
            await check_stored(log, row, end, after=1)

    asyncio.run(run())


def test_an_id_that_a_header_cannot_carry_is_stored_too(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Ids are mine to choose: one with a quote or another alphabet in it is stored like any other."""

    async def run() -> None:
        key = keys_of(tenant, 1)[0]
        async with logs.open() as log:
            await log.append(key, take(drafts, 1))
            (one,) = take(drafts, 1)
            strange = [
                Draft(id=f"{tenant}{id_}", at=one.at, actor="a\n", data=one.data, cause=id_)
                for id_ in ['"', "ü", "a,b"]
            ]
            row = Row(key=key, appends=[[draft] for draft in strange])
            (end,) = await log.append_rows([row])
            assert (end.appended, end.error) == (3, None)
            await check_stored(log, row, end, after=1)

    asyncio.run(run())


def test_two_rows_of_one_session_are_refused(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Two rows for the same session would have no order between them: I am told so, and nothing is stored."""

    async def run() -> None:
        key = keys_of(tenant, 1)[0]
        async with logs.open() as log:
            with pytest.raises(InputError, match="one row a session"):
                await log.append_rows([Row(key=key, appends=[take(drafts, 1)])] * 2)
            assert await all_seqs(log, key) == []

    asyncio.run(run())


def test_cancelled_rows_hold_whole_appends_in_order(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Cancelling the call at any moment leaves the first appends of each session, whole, and all can be written on."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with logs.open() as log:
            await log.append_rows([Row(key=key, appends=[take(drafts, 1)]) for key in keys])
            for steps in range(0, 30, 3):
                before = [len(await all_seqs(log, key)) for key in keys]
                rows = [Row(key=key, appends=[take(drafts, 2) for _ in range(4)]) for key in keys]
                task = asyncio.create_task(log.append_rows(rows))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                ends = await log.append_rows(rows)
                for row, end, after in zip(rows, ends, before, strict=True):
                    assert (end.appended, end.error) == (4, None)
                    await check_stored(log, row, end, after=after)

    asyncio.run(run())


class LosingLink(Link):
    """Lose the connection, as far as the rows can tell, after every third time that they send something."""

    writes = 0

    def write(self, frames: bytes) -> None:
        """Send, and lose what would be answered."""
        super().write(frames)
        self.writes += 1
        if self.writes % 3 == 0:
            self.tap.lose()


def test_rows_whose_answers_are_lost_are_stored_once(nats_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """When connections break while I append to many sessions, every event is stored, once and in order."""

    async def run() -> None:
        rows = [Row(key=key, appends=[take(drafts, 1 + at % 2) for at in range(12)]) for key in keys_of(tenant, 6)]
        async with log_over(LosingLink, nats_url) as log:
            ends = await log.append_rows(rows)
            for row, end in zip(rows, ends, strict=True):
                assert (end.appended, end.error) == (12, None)
                await check_stored(log, row, end)

    asyncio.run(run())


def test_rows_take_no_more_room_than_single_appends(nats_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """A long event that I append with others to many sessions lies in the store packed, as when I append it alone."""

    async def run() -> None:
        keys = keys_of(tenant, 2)
        async with log_over(Link, nats_url) as log, raw_client(nats_url) as client:
            await log.append_rows([Row(key=key, appends=[take(drafts, 1)]) for key in keys])
            one, *two = [saying(draft, "the same words again " * 200) for draft in take(drafts, 3)]
            await log.append(keys[0], [one])
            await log.append_rows([Row(key=keys[1], appends=[two])])
            kept = [await client.jetstream().get_last_msg(EVENTS, event_subject(key)) for key in keys]
            assert [(one.headers or {}).get(PACKED) for one in kept] == [DEFLATE, DEFLATE]
            sizes = [len(one.data or b"") for one in kept]
            assert abs(sizes[0] - sizes[1]) < 30
            assert max(sizes) < 500

    asyncio.run(run())
