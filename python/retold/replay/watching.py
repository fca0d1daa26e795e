"""Follow what a session's history is replaced by."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from retold.events import SessionKey
from retold.fold import Context, History, history_of
from retold.log.walking import Walk
from retold.ports import Log


async def watch(log: Log, key: SessionKey, *, base: Context, after: int = 0) -> AsyncGenerator[History, None]:
    """Yield the history of *base* if its version is later than *after*, then each that takes its place, without an end.

    One read of the events as they come; memory: the state.

    Raises:
        CorruptLogError: at the first event that is missing or damaged.
        UnavailableError: if the log could not be reached.
    """
    version = base.version
    if version > after:
        yield history_of(base)
    walk = Walk(log, key, base=base)
    async with aclosing(log.follow(key, after=base.seq)) as events:
        async for recorded in events:
            await walk.take(recorded)
            if walk.builder.outline.version != version:
                version = walk.builder.outline.version
                yield history_of(walk.builder.freeze())
