"""Messages for many sessions in one call, and what a writer may say of where a session is to end."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from retold.client.checking import check_item
from retold.errors import ConflictError, InputError, RetoldError
from retold.events import Item, ItemAppended, SessionKey, SessionOpened, session_key
from retold.formats import to_items
from retold.log.drafting import drafts_of
from retold.ports import Clock, Log, Row

Expected: TypeAlias = int | Literal["any", "none"] | None
"""Where a session is to end: at a sequence, anywhere (``"any"``, None), or there must be none (``"none"``, 0)."""

Messages: TypeAlias = Sequence[Mapping[str, Any] | Item]

OPEN_MAX = 65_536
"""How many sessions are remembered as being there, to spare the question; about 200 bytes each."""
HEADS_AT_ONCE = 64
"""How many sessions are asked for at once whether they are there."""


class Appended(Struct, frozen=True):
    """Say what was appended to one session.

    Attributes:
        messages: how many of its messages are stored, from the first on: all of them, unless there is an error.
        seq: the sequence of the last event of these; 0 if none is stored.
        error: why the next one is not stored, as `Session.append` would have raised it; none behind it was tried.
    """

    messages: int
    seq: int
    error: RetoldError | None = None


class Batch(Struct, frozen=True):
    """Hold what is to be appended, and how.

    Attributes:
        messages: the messages of each session, by its name.
        expected: where each session is to end, by its name; None is anywhere.
        opened: how sessions that are not there are opened; None: they are refused.
    """

    tenant: str
    actor: str
    messages: Mapping[str, Messages]
    expected: Mapping[str, int | None]
    opened: SessionOpened | None


class Appender:
    """Append to many sessions, and remember which are there."""

    def __init__(self, log: Log, clock: Clock) -> None:
        """Work on *log*."""
        self._log = log
        self._clock = clock
        self._open: OrderedDict[SessionKey, None] = OrderedDict()

    async def append(self, batch: Batch) -> dict[str, Appended]:
        """Append *batch*, and return what came of it for each session, in its order."""
        ends: dict[str, Appended] = {}
        rows: dict[str, Row] = {}
        for name, messages in batch.messages.items():
            try:
                rows[name] = self._row(name, messages, batch)
            except InputError as error:
                ends[name] = Appended(messages=0, seq=0, error=error)
        refused = await self._opened(rows, batch)
        ends |= {name: Appended(messages=0, seq=0, error=error) for name, error in refused.items()}
        ready = [name for name in rows if name not in refused]
        for name, end in zip(ready, await self._log.append_rows([rows[name] for name in ready]), strict=True):
            ends[name] = Appended(messages=end.appended, seq=0 if end.head is None else end.head.seq, error=end.error)
        return {name: ends[name] for name in batch.messages}

    def _row(self, name: str, messages: Messages, batch: Batch) -> Row:
        key = session_key(name, tenant=batch.tenant)
        if not messages:
            raise InputError("expected at least one message to append, got none")
        appends = [
            drafts_of([ItemAppended(item=item) for item in items_of(message)], self._clock, actor=batch.actor)
            for message in messages
        ]
        if not all(appends):
            raise InputError("expected at least one item in each message, got one with none")
        return Row(key=key, appends=appends, expected=batch.expected.get(name))

    async def _opened(self, rows: dict[str, Row], batch: Batch) -> dict[str, RetoldError]:
        """See that the session of each row is there, opened if it may be; return those that are not, and why.

        A row whose session was opened here, and was not to be there before, then expects it to end at its opening.
        """
        unknown = {name: row for name, row in rows.items() if row.key not in self._open}
        few = asyncio.Semaphore(HEADS_AT_ONCE)
        found = await asyncio.gather(*(self._end(row.key, few) for row in unknown.values()))
        refused = {name: end for name, end in zip(unknown, found, strict=True) if isinstance(end, RetoldError)}
        missing = {name: unknown[name] for name, end in zip(unknown, found, strict=True) if end == 0}
        for name, row in missing.items():
            if row.expected:
                refused[name] = ConflictError(session=name, expected=row.expected, actual=0)
            elif batch.opened is None:
                refused[name] = InputError(
                    f"expected an existing session, there is none named {name!r}: give the window= of new ones"
                )
        to_open = {name: row for name, row in missing.items() if name not in refused}
        refused |= await self._open_all(to_open, batch)
        for name in to_open.keys() - refused.keys():
            if rows[name].expected == 0:
                rows[name] = Row(key=rows[name].key, appends=rows[name].appends, expected=1)
        for name in unknown.keys() - refused.keys():
            self._remember(rows[name].key)
        return refused

    async def _end(self, key: SessionKey, few: asyncio.Semaphore) -> int | RetoldError:
        async with few:
            try:
                return (await self._log.head(key)).seq
            except RetoldError as error:
                return error

    async def _open_all(self, rows: Mapping[str, Row], batch: Batch) -> dict[str, RetoldError]:
        if batch.opened is None:
            return {}
        openings = [
            Row(key=row.key, appends=[drafts_of([batch.opened], self._clock, actor=batch.actor)], expected=0)
            for row in rows.values()
        ]
        ends = await self._log.append_rows(openings)
        return {
            name: end.error
            for (name, row), end in zip(rows.items(), ends, strict=True)
            # Somebody else may open it in between, which is what is wanted unless it was not to be there.
            if end.error is not None and not (isinstance(end.error, ConflictError) and row.expected is None)
        }

    def _remember(self, key: SessionKey) -> None:
        self._open[key] = None
        if len(self._open) > OPEN_MAX:
            self._open.popitem(last=False)


def batch_of(
    messages: Mapping[str, Messages] | Iterable[tuple[str, Messages]],
    *,
    tenant: str,
    actor: str,
    expected: Expected | Mapping[str, Expected],
    opened: SessionOpened | None,
) -> Batch:
    """Return what is to be appended; of a list, messages of one session follow each other in its order.

    Raises:
        InputError: if *tenant* or an *expected* is out of range, one names a session without messages, or a session
            is to be new and nothing says how it is *opened*.
    """
    session_key("any", tenant=tenant)
    by_name: dict[str, list[Mapping[str, Any] | Item]] = {}
    for name, some in messages.items() if isinstance(messages, Mapping) else messages:
        by_name.setdefault(name, []).extend(some)
    each = expected if isinstance(expected, Mapping) else dict.fromkeys(by_name, expected)
    for name in each:
        if name not in by_name:
            raise InputError(f"expected messages for each session that expected= names, got none for {name!r}")
    ends = {name: expected_seq(one) for name, one in each.items()}
    if opened is None and 0 in ends.values():
        raise InputError("expected the window= of the sessions that must be new (expected='none'), got none")
    return Batch(tenant=tenant, actor=actor, messages=by_name, expected=ends, opened=opened)


def expected_seq(expected: Expected) -> int | None:
    """Return the sequence that *expected* says, 0 for no session; None is any.

    Raises:
        InputError: if it is no sequence and another word.
    """
    if expected is None or expected == "any":
        return None
    if expected == "none":
        return 0
    if type(expected) is int and expected >= 0:
        return expected
    came = expected if type(expected) is int else repr(expected)[:40]
    raise InputError(f"expected a sequence of 0 or more, 'any' or 'none' as where the session ends, got {came}")


def items_of(message: Mapping[str, Any] | Item) -> tuple[Item, ...]:
    """Return the items that *message* holds.

    Raises:
        InputError: if it is of no form that is known.
    """
    if isinstance(message, Mapping):
        return to_items(message)
    check_item(message)
    return (message,)
