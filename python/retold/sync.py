"""The agents' side for code without asyncio: the same client and sessions, each call done when it returns.

    with retold.sync.connect() as client:
        session = client.session("agent-42")
        session.append({"role": "user", "content": "..."})
        history = session.history()

One thread runs the connection for all; calls from several threads are fine. What a method takes, gives and raises is
what the one of the same name of `Client` and `Session` does.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from anyio import EndOfStream, create_memory_object_stream
from anyio.from_thread import BlockingPortal, start_blocking_portal

from retold.client import Client, Session
from retold.events import Policy, SessionKey, Tuning, Window
from retold.model_ports import RemoteCompactor, Summarizer
from retold.replay import At, Diff
from retold.security import MasterKeys
from retold.settings import Profile
from retold.summarizers import SummaryFunction
from retold.wiring import connect as connect_async
from retold.wiring import run_worker
from retold.worker import Hooks

__all__ = ["SyncClient", "SyncSession", "connect"]

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def connect(
    url: str | None = None,
    *,
    data_dir: str | Path | None = None,
    profile: Profile | None = None,
    actor: str = "agent",
    keys: str | Path | MasterKeys | None = None,
) -> Iterator["SyncClient"]:
    """Connect to a log, as `retold.connect` does; the connection is closed at the end of the block. Raises as that."""
    opened = connect_async(url, data_dir=data_dir, profile=profile, actor=actor, keys=keys)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened) as client:
        yield SyncClient(client, portal)


def _done(
    method: Callable[Concatenate[Session, P], Coroutine[object, object, R]],
) -> Callable[Concatenate["SyncSession", P], R]:
    """Return *method* as one that is done when it returns."""

    @wraps(method)
    def call(self: "SyncSession", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.portal.call(partial(method, self.session, *args, **kwargs))

    return call


def _one_by_one(
    method: Callable[Concatenate[Session, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate["SyncSession", P], Generator[R, None, None]]:
    """Return *method* as one whose values come as they are asked for; closing it ends what is under way."""

    @wraps(method)
    def iterate(self: "SyncSession", /, *args: P.args, **kwargs: P.kwargs) -> Generator[R, None, None]:
        send, receive = create_memory_object_stream[R]()

        async def pump() -> None:
            # All in one task: a generator's time-outs and groups must end where they began.
            async with send, aclosing(method(self.session, *args, **kwargs)) as values:
                async for value in values:
                    await send.send(value)

        running = self.portal.start_task_soon(pump)
        try:
            while True:
                try:
                    value = self.portal.call(receive.receive)
                except EndOfStream:
                    running.result()  # raises what ended it
                    return
                yield value
        finally:
            running.cancel()
            receive.close()

    return iterate


class SyncSession:
    """Append to one session and read its histories. Get it from `SyncClient.session`.

    Attributes:
        session: the session that does it.
        portal: the way to the thread that the connection lives in.
    """

    def __init__(self, session: Session, portal: BlockingPortal) -> None:
        """Do what *session* does by way of *portal*."""
        self.session = session
        self.portal = portal

    @property
    def key(self) -> SessionKey:
        """Return the tenant and the name of the session."""
        return self.session.key

    append = _done(Session.append)
    append_many = _done(Session.append_many)
    change_window = _done(Session.change_window)
    close = _done(Session.close)
    compress = _done(Session.compress)
    decompress = _done(Session.decompress)
    edit = _done(Session.edit)
    erase = _done(Session.erase)
    explain = _done(Session.explain)
    extend = _done(Session.extend)
    handle_tool_call = _done(Session.handle_tool_call)
    history = _done(Session.history)
    manage = _done(Session.manage)
    pin = _done(Session.pin)
    replay = _one_by_one(Session.replay)
    report_usage = _done(Session.report_usage)
    request_compaction = _done(Session.request_compaction)
    restore = _done(Session.restore)
    rewind = _done(Session.rewind)
    tag = _done(Session.tag)
    tags = _done(Session.tags)
    tools = staticmethod(Session.tools)
    undo = _done(Session.undo)
    untag = _done(Session.untag)
    view = _done(Session.view)
    warm = _done(Session.warm)
    watch = _one_by_one(Session.watch)

    def diff(self, a: At, b: At | None = None, *, other: "SyncSession | None" = None) -> Diff:
        """Return what is between two histories, as `Session.diff` does."""
        return self.portal.call(partial(self.session.diff, a, b, other=None if other is None else other.session))

    def fork(
        self, name: str, *, at: At | None = None, window: Window | None = None, policy: Policy | None = None
    ) -> "SyncSession":
        """Open session *name* with this one's state at *at*, as `Session.fork` does."""
        forked = partial(self.session.fork, name, at=at, window=window, policy=policy)
        return SyncSession(self.portal.call(forked), self.portal)


def _asked(
    method: Callable[Concatenate[Client, P], Coroutine[object, object, R]],
) -> Callable[Concatenate["SyncClient", P], R]:
    """Return *method* as one that is done when it returns."""

    @wraps(method)
    def call(self: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.portal.call(partial(method, self.client, *args, **kwargs))

    return call


class SyncClient:
    """Open sessions of a log. Get it from `connect`.

    Attributes:
        client: the client that does it.
        portal: the way to the thread that the connection lives in.
    """

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        """Do what *client* does by way of *portal*."""
        self.client = client
        self.portal = portal

    append = _asked(Client.append)
    append_many = _asked(Client.append_many)
    sessions = _asked(Client.sessions)
    states = _asked(Client.states)

    def session(
        self,
        name: str,
        *,
        tenant: str = "default",
        window: Window | None = None,
        policy: Policy = "ladder",
        tuning: Tuning | None = None,
        encoding: str = "o200k_base",
    ) -> SyncSession:
        """Return the session, opened if it is new, as `Client.session` does."""
        opened = partial(
            self.client.session, name, tenant=tenant, window=window, policy=policy, tuning=tuning, encoding=encoding
        )
        return SyncSession(self.portal.call(opened), self.portal)

    def existing(self, name: str, *, tenant: str = "default") -> SyncSession:
        """Return a session that exists already, as `Client.existing` does."""
        return SyncSession(self.portal.call(partial(self.client.existing, name, tenant=tenant)), self.portal)

    @contextmanager
    def worker(
        self,
        *,
        summarizer: str | Summarizer | SummaryFunction | None = None,
        remote: str | RemoteCompactor | None = None,
        hooks: Hooks | None = None,
    ) -> Iterator[None]:
        """Run a worker in the connection's thread until the block ends, as `retold.run_worker` does."""
        running = run_worker(self.client, summarizer=summarizer, remote=remote, hooks=hooks)
        with self.portal.wrap_async_context_manager(running):
            yield
