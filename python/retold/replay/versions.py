"""The compactions of a session in the log: which there are, and what one of them did."""

from collections.abc import Sequence
from contextlib import aclosing

from retold.errors import InputError
from retold.events import ForkPoint, Recorded, SessionKey
from retold.fold import Context
from retold.log.walking import Walk
from retold.ports import Log
from retold.replay.explaining import Explanation, NotMade, Version, explain, missed, receipt_of, version_of


async def versions(log: Log, key: SessionKey) -> list[Version | NotMade]:
    """Return every compaction that was made in the session itself, failed or was given up, oldest first.

    A version that an edit, a rewind or a restore made is none; what a fork inherits is its parent's.

    Raises:
        InputError: if there is no such session.
        CorruptLogError: if an event is missing or damaged.
    """
    walk, found = Walk(log, key), list[Version | NotMade]()
    async with aclosing(log.read(key)) as events:
        async for recorded in events:
            await walk.take(recorded)
            one = version_of(recorded, walk.builder.outline.version) or missed(recorded)
            found += [one] if one is not None else []
    if walk.builder.seq < 1:
        raise _missing(key)
    return found


async def explain_version(log: Log, key: SessionKey, version: int | None = None) -> Explanation:
    """Return what the compaction that made *version* did; None is the newest compaction.

    It reads the session's events once, to their end: whether the compaction can still be undone, only they say.

    Raises:
        InputError: if there is no such session, or no compaction of it made that version; it names those that did.
        CorruptLogError: if an event is missing or damaged.
    """
    walk, events, made = Walk(log, key), list[Recorded](), list[int]()
    chosen: tuple[Context, int, Context] | None = None
    async with aclosing(log.read(key)) as read:
        async for recorded in read:
            before = None if receipt_of(recorded) is None else walk.builder.freeze()
            await walk.take(recorded)
            events.append(recorded)
            if before is not None:
                after = walk.builder.freeze()
                made.append(after.version)
                chosen = (before, len(events), after) if version in (None, after.version) else chosen
    if not events:
        raise _missing(key)
    outline = walk.builder.outline
    if chosen is None:
        raise InputError(_told(key, version, made, outline.parent))
    before, end, after = chosen
    return explain(before, events[:end], after, newest_seq=outline.compacted_seq)


def _missing(key: SessionKey) -> InputError:
    return InputError(f"expected an existing session, there is none named {key.session!r}")


def _told(key: SessionKey, version: int | None, made: Sequence[int], parent: ForkPoint | None) -> str:
    fork = "" if parent is None else f": it was forked from {parent.session!r} at {parent.seq}, ask that"
    if not made:
        return f"expected a session with a compaction, {key.session!r} has none{fork}"
    runs: list[str] = []
    for at, number in enumerate(made):
        if at and number == made[at - 1] + 1:
            runs[-1] = f"{runs[-1].split(' to ')[0]} to {number}"
        else:
            runs.append(str(number))
    return f"expected a version that a compaction of {key.session!r} made, {', '.join(runs)}, got {version}{fork}"
