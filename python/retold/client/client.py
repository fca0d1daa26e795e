"""A connection to a log, and the sessions in it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from msgspec import UNSET

from retold.client.appending import Appended, Appender, Expected, Messages, batch_of, expected_seq, items_of
from retold.client.checking import check_window
from retold.client.session import Session, record_facts
from retold.errors import ConflictError, InputError
from retold.events import Fact, ItemAppended, Policy, SessionKey, SessionOpened, Tuning, Window, session_key
from retold.policy import check_tuning
from retold.ports import Clock, Log, SessionEnd
from retold.replay import At, Past, States, states
from retold.tokens import encoding as vocabulary

DEFAULT_WINDOW = Window(hard_limit=200_000)
"""The window of a session that is opened without one."""


class Client:
    """Open sessions of a log. Get it from `retold.connect`."""

    def __init__(self, log: Log, clock: Clock, *, actor: str = "agent") -> None:
        """Work on *log*, writing as *actor*."""
        self.log = log
        self.clock = clock
        self._actor = actor
        self._past = Past(log)
        self._appender = Appender(log, clock)

    async def session(
        self,
        name: str,
        *,
        tenant: str = "default",
        window: Window | None = None,
        policy: Policy = "ladder",
        tuning: Tuning | None = None,
        encoding: str = "o200k_base",
    ) -> Session:
        """Return the session, opened if it is new. *window*, *policy*, *tuning* and *encoding* are those of a new one.

        Raises:
            InputError: if a name or an argument is out of range.
            UnavailableError: if the log could not be reached.
        """
        key = session_key(name, tenant=tenant)
        window = check_window(window or DEFAULT_WINDOW)
        tuning = None if tuning is None else check_tuning(tuning)
        vocabulary(encoding)
        if (await self.log.head(key)).seq == 0:
            opened = SessionOpened(window=window, policy=policy, encoding=encoding, tuning=tuning or UNSET)
            with suppress(ConflictError):  # somebody else may open it in between, which is what is wanted
                await record_facts(self.log, self.clock, key, [opened], actor=self._actor, expected=0)
        return Session(self.log, self.clock, key, actor=self._actor, past=self._past)

    async def existing(self, name: str, *, tenant: str = "default") -> Session:
        """Return a session that exists already.

        Raises:
            InputError: if there is none of that name.
        """
        key: SessionKey = session_key(name, tenant=tenant)
        if (await self.log.head(key)).seq == 0:
            raise InputError(f"expected an existing session, there is none named {name!r}")
        return Session(self.log, self.clock, key, actor=self._actor, past=self._past)

    async def append(
        self,
        name: str,
        messages: Messages,
        *,
        tenant: str = "default",
        expected: Expected = None,
        window: Window | None = None,
        encoding: str = "o200k_base",
    ) -> int:
        """Append *messages* to one session as one, all or none; return the last event's sequence.

        A session that is new is opened with them, with *window* and *encoding*: if they are refused, it is not there.

        Raises:
            InputError: as `Session.append_many`, or if an argument is out of range; nothing was appended or opened.
            ConflictError: if the session ends elsewhere than *expected*; its `actual` says where.
            UnavailableError: if the log could not be reached; the call may be repeated.
        """
        key, end = session_key(name, tenant=tenant), expected_seq(expected)
        opened = SessionOpened(window=check_window(window or DEFAULT_WINDOW), encoding=encoding)
        vocabulary(encoding)
        facts = [ItemAppended(item=item) for message in messages for item in items_of(message)]
        if facts and not end and (await self.log.head(key)).seq == 0:
            try:
                return await self._record(key, [opened, *facts], expected=0)
            except ConflictError:  # somebody else opened it in between
                if end == 0:
                    raise
        return await self._record(key, facts, expected=end)

    async def _record(self, key: SessionKey, facts: Sequence[Fact], *, expected: int | None) -> int:
        recorded = await record_facts(self.log, self.clock, key, facts, actor=self._actor, expected=expected)
        return recorded[-1].event.seq

    async def append_many(
        self,
        messages: Mapping[str, Messages] | Iterable[tuple[str, Messages]],
        *,
        tenant: str = "default",
        expected: Expected | Mapping[str, Expected] = None,
        window: Window | None = None,
        encoding: str = "o200k_base",
    ) -> dict[str, Appended]:
        """Append to many sessions at once; return for each, by its name, what was appended or why not.

        *messages* are given by session, or as pairs of a session and some of its messages, in order. Each is appended
        as `Session.append` does it, all of its items or none, strictly in order within its session; sessions do not
        wait for each other, and one that fails hides no other. *expected* holds for each session before its first
        message, or is given by name. With *window*, sessions that are not there are opened, with it and *encoding*;
        without it, they are refused. Where the error is an UnavailableError, the next message may be stored or not.

        Raises:
            InputError: if an argument is out of range; nothing was appended. What is wrong with the messages of one
                session is returned as its error.
        """
        opened = None
        if window is not None:
            vocabulary(encoding)
            opened = SessionOpened(window=check_window(window), encoding=encoding)
        batch = batch_of(messages, tenant=tenant, actor=self._actor, expected=expected, opened=opened)
        return await self._appender.append(batch)

    async def fork(
        self, session: str, name: str, *, at: At | None = None, tenant: str = "default", window: Window | None = None
    ) -> Session:
        """Open session *name* with the state of *session* at *at* (None: now); see `Session.fork`.

        Raises:
            InputError: if there is no such session, it does not reach *at*, or there is a session *name* already.
        """
        return await (await self.existing(session, tenant=tenant)).fork(name, at=at, window=window)

    async def sessions(self) -> list[SessionEnd]:
        """Return every session and where it ends, ordered by tenant and name."""
        return await self.log.sessions()

    async def states(self, *, partitions: Sequence[int] = ()) -> States:
        """Return the state of every session, sizes and entries, from one scan of the log; see `retold.replay.states`.

        *partitions* (0 to 63) limits it to some, so that processes can share the work. All states are held at once.
        """
        return await states(self.log, partitions=partitions)
