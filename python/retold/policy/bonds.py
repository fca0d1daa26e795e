"""What must stay together: a call and its result, parallel calls, one response's items, reasoning and what it led to.

Everything here is about positions in a history, 0 for the oldest.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain, pairwise
from typing import final

from retold.events import Item, Message, Reasoning, ToolCall, ToolResult
from retold.fold import Entry
from retold.formats import number_responses


@final
class Bonds:
    """What a history's entries have to do with each other, found once for all steps of a decision.

    Each part is found when it is first asked for, in one pass over the entries; nothing here may be changed.

    Attributes:
        entries: the history.
        items: its items.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Look at *entries*."""
        self.entries = entries
        self.items: list[Item] = [entry.item for entry in entries]

    def of_kind(self, kind: type[Item]) -> list[int]:
        """Return the positions of the items of *kind*, ascending."""
        return self._places.get(kind, [])

    @cached_property
    def _places(self) -> dict[type[Item], list[int]]:
        places: dict[type[Item], list[int]] = {}
        for at, item in enumerate(self.items):
            places.setdefault(type(item), []).append(at)
        return places

    @property
    def calls(self) -> list[int]:
        """The positions of the calls, ascending."""
        return self.of_kind(ToolCall)

    @property
    def results(self) -> list[int]:
        """The positions of the results, ascending."""
        return self.of_kind(ToolResult)

    @property
    def messages(self) -> list[int]:
        """The positions of the messages, ascending."""
        return self.of_kind(Message)

    @cached_property
    def user(self) -> list[int]:
        """The positions of what the user said, ascending."""
        return [at for at in self.messages if is_user(self.entries[at])]

    @property
    def latest_user(self) -> int | None:
        """The position of the newest user message, or None."""
        return self.user[-1] if self.user else None

    @cached_property
    def partner(self) -> dict[int, int]:
        """For each call and result, the position of its partner. The first result of a call wins.

        A provider may use a call id again later; a result belongs to the newest call with its id before it.
        """
        partner: dict[int, int] = {}
        for call, result in self._answers:
            if call not in partner:
                partner[call], partner[result] = result, call
        return partner

    @property
    def open_calls(self) -> set[int]:
        """The calls whose result may still come: without one, and no message of the user after them.

        A call before a later user message is dead: its process is gone, and keeping it would block compaction for ever.
        """
        last_user = -1 if self.latest_user is None else self.latest_user
        return {at for at in self.calls if at > last_user and at not in self.partner}

    @cached_property
    def atom_of(self) -> list[int]:
        """For each position, the first of those that it leaves or stays with; its own where that is itself."""
        first = number_responses(self.items)
        for left, right in chain(self._neighbours(), self._answers):
            one, other = left, right
            while first[one] != one:
                first[one] = one = first[first[one]]
            while first[other] != other:
                first[other] = other = first[first[other]]
            first[max(one, other)] = min(one, other)
        for at, before in enumerate(first):
            first[at] = first[before]  # ascending: what it points to is final
        return first

    @property
    def atoms(self) -> list[list[int]]:
        """The sets of positions that leave or stay together, ordered by their first; each ascending."""
        members: dict[int, list[int]] = {}
        for at, first in enumerate(self.atom_of):
            members.setdefault(first, []).append(at)
        return list(members.values())

    def atoms_at(self, positions: set[int]) -> set[int]:
        """Return *positions* with all that may not be parted from them."""
        held = {self.atom_of[at] for at in positions}
        return {at for at, first in enumerate(self.atom_of) if first in held}

    @cached_property
    def cuts(self) -> list[int]:
        """The positions, ascending, at which a history may be cut: no bond reaches over them.

        0 and ``len(entries)`` are always among them.
        """
        last = {first: at for at, first in enumerate(self.atom_of)}
        reach = accumulate(map(last.__getitem__, self.atom_of), max)
        return [0, *(at + 1 for at, end in enumerate(reach) if end == at)]

    @cached_property
    def _answers(self) -> list[tuple[int, int]]:
        """Each call with every result that answers it: a tool may answer twice, the second time much later."""
        newest: dict[str, int] = {}
        answers: list[tuple[int, int]] = []
        for at in sorted(self.calls + self.results):
            item = self.items[at]
            if type(item) is ToolCall:
                newest[item.call_id] = at
            elif type(item) is ToolResult and (call := newest.get(item.call_id)) is not None:
                answers.append((call, at))
        return answers

    def _neighbours(self) -> Iterator[tuple[int, int]]:
        """Yield the neighbours that may not be parted: parallel calls, and reasoning with what it led to."""
        for one, other in pairwise(self.calls):
            if other == one + 1:
                yield one, other
        for at in self.of_kind(Reasoning):
            if at + 1 < len(self.entries) and not is_user(self.entries[at + 1]):
                yield at, at + 1


def atoms(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the sets of positions that leave or stay together, ordered by their first; each ascending."""
    return Bonds(entries).atoms


def open_calls(entries: Sequence[Entry]) -> set[int]:
    """Return the calls whose result may still come (`Bonds.open_calls`)."""
    return Bonds(entries).open_calls


def pair_of(entries: Sequence[Entry]) -> dict[int, int]:
    """Return, for each call and result, the position of its partner (`Bonds.partner`)."""
    return Bonds(entries).partner


def latest_user(entries: Sequence[Entry]) -> int | None:
    """Return the position of the newest user message, or None."""
    return Bonds(entries).latest_user


def is_user(entry: Entry) -> bool:
    """Return whether the entry is something that the user said, not a summary or a block in the user's place."""
    said = isinstance(entry.item, Message) and entry.item.role == "user"
    return said and entry.form not in ("summary", "compressed")
