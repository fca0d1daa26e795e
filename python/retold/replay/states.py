"""The states of all sessions of a log, from one scan of it.

Sessions are folded as their events come by, those that append plain items in runs. One that needs more than its own
events in order (a fork, a rewind, an undo) is folded by itself afterwards, as `load` does it, and so is one whose
events did not fold: then that says what is wrong.
"""

from collections.abc import Sequence
from contextlib import aclosing

from msgspec import Struct

from retold.errors import CorruptLogError, InputError, SealError
from retold.events import Recorded, SessionKey
from retold.fold import Context, Run, RunBuilder
from retold.ports import Log
from retold.replay.reading import load


class States(Struct, frozen=True):
    """Hold the state of each session.

    Attributes:
        contexts: those that could be read, as they were when the scan came by their last event.
        damage: the first damage of each session that has some.
        sealed: which key is missing, for each session that cannot be read without.
    """

    contexts: dict[SessionKey, Context]
    damage: dict[SessionKey, CorruptLogError]
    sealed: dict[SessionKey, SealError]


async def states(log: Log, *, partitions: Sequence[int] = ()) -> States:
    """Return the states of all sessions of *partitions* (none: all 64). 3 to 5 µs an event of a few words.

    All are held at once. That a session lost its newest events does not show: `Log.sessions` says so.

    Raises:
        InputError: if a partition is out of range.
        UnavailableError: if the log cannot be read now.
    """
    found = States(contexts={}, damage={}, sealed={})
    folding = _Folding()
    async with aclosing(log.scan_runs(partitions=partitions)) as scanned:
        async for part in scanned:
            for one in part.events:
                folding.take(one)
            found.damage.update(part.damage)
            found.sealed.update(part.sealed)
    for key in folding.left:
        if key not in found.damage and key not in found.sealed:
            await _load(log, key, found)
    for key, context in folding.contexts():
        if key not in found.damage and key not in found.sealed:
            found.contexts[key] = context
    return found


async def _load(log: Log, key: SessionKey, found: States) -> None:
    try:
        context = await load(log, key)
    except InputError:
        return  # erased since the scan came by
    except CorruptLogError as error:
        found.damage[key] = error
    except SealError as error:
        found.sealed[key] = error
    else:
        found.contexts[key] = context


class _Folding:
    """Fold sessions side by side.

    Attributes:
        left: those that have to be folded by themselves.
    """

    def __init__(self) -> None:
        self._builders: dict[tuple[str, str], RunBuilder | None] = {}

    @property
    def left(self) -> list[SessionKey]:
        return [SessionKey(*place) for place, builder in self._builders.items() if builder is None]

    def contexts(self) -> list[tuple[SessionKey, Context]]:
        """Return the states of those that were folded."""
        built = self._builders.items()
        return [(SessionKey(*place), builder.freeze()) for place, builder in built if builder is not None]

    def take(self, one: Recorded | Run) -> None:
        """Fold in an event or a run."""
        at = one.key if isinstance(one, Run) else one.event
        place = at.tenant, at.session
        builder = self._builders.get(place)
        if builder is None:
            if place in self._builders:
                return
            builder = self._builders[place] = RunBuilder()
        try:
            if isinstance(one, Run):
                builder.take(one)
            else:
                builder.apply(one)
        except CorruptLogError:
            self._builders[place] = None
