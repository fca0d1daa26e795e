"""A connection to a log, and the sessions in it."""

from contextlib import suppress

from retold.client.session import Session, record_facts
from retold.errors import ConflictError, InputError
from retold.events import Policy, SessionKey, SessionOpened, Window, session_key
from retold.ports import Clock, Log, SessionEnd
from retold.replay import Past
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
        window = _checked(window or DEFAULT_WINDOW)
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

    async def sessions(self) -> list[SessionEnd]:
        """Return every session and where it ends, ordered by tenant and name."""
        return await self.log.sessions()


def _checked(window: Window) -> Window:
    for name in ("hard_limit", "pre_rot", "reserve"):
        size = getattr(window, name)
        if not isinstance(size, int):
            raise InputError(f"expected a {name} in whole tokens, got {type(size).__name__}")
        if size < 0 or (name == "hard_limit" and size < 1):
            raise InputError(f"expected a {name} of 1 token or more, got {size}")
    if window.input_limit < 1:
        raise InputError(f"expected a reserve below the hard limit of {window.hard_limit}, got {window.reserve}")
    return window
