"""The compactions of a session in the log: which there are, and what one of them did."""

from contextlib import aclosing

from msgspec import Struct

from retold.errors import InputError
from retold.events import HistoryReplaced, Receipt, Recorded, SessionKey, Tier
from retold.log.walking import Walk
from retold.ports import Log
from retold.replay.explaining import Explanation, NotMade, explain, missed, receipt_of


class Version(Struct, frozen=True):
    """Hold one compaction of a session, with its receipt and the event that recorded it."""

    version: int
    tier: Tier
    receipt: Receipt
    recorded: Recorded

    @property
    def seq(self) -> int:
        """Return the sequence that it was recorded at."""
        return self.recorded.event.seq


async def versions(log: Log, key: SessionKey) -> list[Version | NotMade]:
    """Return every compaction that was made in the session itself, failed or was given up, oldest first.

    A version that an edit, a rewind or a restore made is none; what a fork inherits is its parent's.

    Raises:
        InputError: if there is no such session.
        CorruptLogError: if an event is missing or damaged.
    """
    found, _ = await _walked(log, key)
    return found


async def explain_version(log: Log, key: SessionKey, version: int | None = None) -> Explanation:
    """Return what the compaction that made *version* did; None is the newest compaction.

    It reads the session's events up to it.

    Raises:
        InputError: if there is no such session, or no compaction of it made that version; it names those that did.
        CorruptLogError: if an event is missing or damaged.
    """
    found, newest_seq = await _walked(log, key)
    made = [one for one in found if isinstance(one, Version)]
    chosen = next((one for one in reversed(made) if version in (None, one.version)), None)
    if chosen is None:
        raise InputError(_told(key, version, made))
    walk, events = Walk(log, key), list[Recorded]()
    before = None
    async with aclosing(log.read(key, until=chosen.seq)) as read:
        async for recorded in read:
            before = walk.builder.freeze() if recorded.event.seq == chosen.seq else None
            await walk.take(recorded)
            events.append(recorded)
    assert before is not None, "a compaction is never the first event"
    return explain(before, events, walk.builder.freeze(), newest_seq=newest_seq)


async def _walked(log: Log, key: SessionKey) -> tuple[list[Version | NotMade], int]:
    """Return what `versions` returns, and the sequence of the compaction that an undo would take back; 0 is none."""
    found: list[Version | NotMade] = []
    walk, seen = Walk(log, key), False
    async with aclosing(log.read(key)) as events:
        async for recorded in events:
            seen = True
            await walk.take(recorded)
            if (receipt := receipt_of(recorded)) is not None:
                fact, version = recorded.event.data, walk.builder.outline.version
                tier = fact.tier if isinstance(fact, HistoryReplaced) else "edit"
                found.append(Version(version=version, tier=tier, receipt=receipt, recorded=recorded))
            elif (one := missed(recorded)) is not None:
                found.append(one)
    if not seen:
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    return found, walk.builder.outline.compacted_seq


def _told(key: SessionKey, version: int | None, made: list[Version]) -> str:
    if not made:
        return f"expected a session with a compaction, {key.session!r} has none"
    numbers = [one.version for one in made]
    runs: list[str] = []
    for at, number in enumerate(numbers):
        if at and number == numbers[at - 1] + 1:
            runs[-1] = f"{runs[-1].split(' to ')[0]} to {number}"
        else:
            runs.append(str(number))
    return f"expected a version that a compaction of {key.session!r} made, {', '.join(runs)}, got {version}"
