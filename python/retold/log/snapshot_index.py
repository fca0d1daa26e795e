"""All messages of a session's snapshots, and which of them are kept: what the newest leads to, by its steps."""

from retold.log.segments import FORM, Segmented, restore
from retold.log.snapshot_messages import Found, placed
from retold.ports import Snapshot, Unreadable


class Index:
    """Collect what was read of the messages, in the order of their positions.

    Attributes:
        end: the position of the last message of the session's own subject; 0 before the first.
    """

    def __init__(self) -> None:
        self.end = 0
        self._found: dict[int, Found] = {}
        self._newest: Found | None = None
        self._behind: list[int] = []

    def add_own(self, position: int, found: Found | None, *, damaged_seq: int | None) -> None:
        """Add a message of the session's own subject, None where it says nothing to this release, or is damaged."""
        self.end = position
        if damaged_seq is not None:
            self._behind.append(damaged_seq)  # unless a later one can be read, nothing names it
        elif found is not None:
            self._found[position] = self._newest = found
            self._behind = []

    def add_aside(self, found: Found | None) -> None:
        """Add a message that a rebuild wrote aside."""
        if found is not None:
            self._found[found.stored.position] = found

    @property
    def lost(self) -> list[int]:
        """Return the sequences of the kept snapshots whose messages are damaged or not there."""
        return [*self._walk()[1], *self._behind]

    def kept(self) -> list[Snapshot | Unreadable]:
        """Return what is kept, in order; one that is damaged or lost by its sequence alone."""
        chain, lost = self._walk()
        sources = {position: found.message.kept for position, found in self._found.items()}
        named = [*(_read(one, sources) for one in chain), *map(Unreadable, (*lost, *self._behind))]
        return sorted((one for one in named if one is not None), key=lambda one: one.seq)

    def _walk(self) -> tuple[list[Found], list[int]]:
        """Return the messages that the newest leads to, in order, and the sequences of those that were not read."""
        if self._newest is None:
            return [], []
        reached, lost, to_do = {self._newest.stored.position: self._newest}, dict[int, int](), [self._newest]
        while to_do:
            for step in to_do.pop().message.steps:
                found = self._found.get(step.position)
                if found is None or found.step != step:
                    lost[step.position] = step.seq
                elif step.position not in reached:
                    reached[step.position] = found
                    to_do.append(found)
        return sorted(reached.values(), key=lambda one: one.step.number), list(lost.values())


def _read(found: Found, sources: dict[int, Segmented]) -> Snapshot | Unreadable | None:
    """Return the snapshot that *found* is; None if a release that we do not know wrote it."""
    if found.message.kept.form != FORM:
        return None
    body = restore(found.message.kept, sources)
    return Unreadable(found.step.seq) if body is None else placed(found, body).snapshot
