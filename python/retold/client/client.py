"""A connection to a log, and the sessions in it."""

from contextlib import suppress

from retold.client.checking import check_window
from retold.client.session import Session, record_facts
from retold.errors import ConflictError, InputError
from retold.events import Policy, SessionKey, SessionOpened, Window, session_key
from retold.ports import Clock, Log, SessionEnd
from retold.replay import At, Past
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

    async def session(
        self,
        name: str,
        *,
        tenant: str = "default",
        window: Window | None = None,
        policy: Policy = "ladder",
        encoding: str = "o200k_base",
    ) -> Session:
        """Return the session, opened if it is new. *window*, *policy* and *encoding* are those of a new one.

        Raises:
            InputError: if a name or an argument is out of range.
            UnavailableError: if the log could not be reached.
        """
        key = session_key(name, tenant=tenant)
        window = check_window(window or DEFAULT_WINDOW)
        vocabulary(encoding)
        if (await self.log.head(key)).seq == 0:
            opened = SessionOpened(window=window, policy=policy, encoding=encoding)
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
