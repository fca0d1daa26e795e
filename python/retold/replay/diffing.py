"""What is between two histories: which items came, went and changed, what it cost, and what can be seen no more. Pure.

Rules:
- In one session, and in a fork of it, an id names one item. Forks that parted may have given one id to two items: those
  are told apart by their content.
- A line of text can still be seen if the later history has the same line in any of its items, a summary's included.
- Why an item went is read from the events between the two, where the caller has them.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from msgspec import UNSET, Struct

from retold.events import (
    CompactionUndone,
    HistoryDecompressed,
    HistoryEdited,
    HistoryReplaced,
    Place,
    Receipt,
    Recorded,
    SessionErased,
    SessionKey,
    SessionRewound,
    Tier,
)
from retold.fold import Entry, History, item_hash, item_text, kind_of
from retold.policy.blocks import read_block
from retold.policy.summary import read_summary
from retold.replay.explaining import receipt_of

TEXT_CHARACTERS_MAX = 400
"""How much of what was lost is quoted; the place where all of it can be read is named."""

How = Literal[
    "appended",
    "summary",
    "returned",
    "offloaded",
    "restored",
    "summarised",
    "cut",
    "dropped",
    "edited",
    "compressed",
    "extended",
    "rewound",
    "undone",
    "erased",
    "later",
    "elsewhere",
]
"""What became of an item; *later*: it came after the second place, *elsewhere*: in another branch."""

Back = Literal["restore", "undo", "rewind", "history"]
"""The shortest way back: restore the item, undo the newest compaction, rewind to before the rewind, or read it."""


class Side(Struct, frozen=True):
    """Name one of the two histories, with its size in tokens and its hash."""

    key: SessionKey
    seq: int
    version: int
    tokens: int
    hash: str


class Change(Struct, frozen=True):
    """Say what became of one item.

    Attributes:
        item: its id; *kind* its role, or what it is.
        tokens_before: what it took; 0 if it was not there.
        tokens_after: what it takes; 0 if it is not there.
        into: the summary or compressed block that stands for it, where the events say so.
    """

    item: str
    kind: str
    how: How
    tokens_before: int
    tokens_after: int
    into: str | None = None


class Compaction(Struct, frozen=True):
    """Hold a compaction between the two places, with its receipt; `seq` is where it was recorded.

    Attributes:
        version: the history's after it; None of an agent's own where only the events are known.
    """

    seq: int
    version: int | None
    tier: Tier
    receipt: Receipt


class Lost(Struct, frozen=True):
    """Name text that could be seen in the first history and cannot in the second.

    Attributes:
        item: the item that held it.
        kind: its role, or what it is; ``summary`` for a line of one.
        field: of a summary, the section that the line stood in.
        text: its lines that are gone, up to `TEXT_CHARACTERS_MAX` characters.
        lines: how many lines are gone.
        how: what became of the item.
        back: the shortest way to get it back.
        seq: a place where all of it can be read.
    """

    item: str
    kind: str
    text: str
    lines: int
    how: How
    back: Back
    seq: int
    field: str | None = None


class Diff(Struct, frozen=True):
    """Hold what is between two histories, in the order of the histories.

    Attributes:
        kinds: the tokens before and after, by what takes them.
        compactions: those recorded between, where the second place follows the first.
        lost: what can be seen no more: system text and what the user said first.
    """

    before: Side
    after: Side
    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    changed: tuple[Change, ...]
    kinds: dict[str, tuple[int, int]]
    compactions: tuple[Compaction, ...]
    lost: tuple[Lost, ...]


def diff(
    before: History,
    after: History,
    between: Sequence[Recorded] = (),
    *,
    own: Mapping[str, int] = MappingProxyType({}),
) -> Diff:
    """Return what is between two histories. O(text of both).

    *between* are the events that led from the first to the second, if one did; they tell why an item went. *own* has
    the versions that agents' own compactions made, by the hash of the event: it does not say.
    """
    fates = _Fates(before, after, between)
    then, now = _by_id(before), _by_id(after)
    pairs = {item: now[item] for item, entry in then.items() if item in now and _is_same(entry, now[item])}
    if before.key == after.key:
        pairs = {item: now[item] for item in then if item in now}
    added = [fates.came(entry) for item, entry in now.items() if item not in pairs]
    removed = {item: fates.went(entry) for item, entry in then.items() if item not in pairs}
    both = [(then[item], entry) for item, entry in pairs.items() if then[item].item != entry.item]
    changed = {entry.item.id: _changed(entry, later) for entry, later in both}
    return Diff(
        before=_side(before),
        after=_side(after),
        added=tuple(added),
        removed=tuple(removed.values()),
        changed=tuple(changed.values()),
        kinds=_kinds(before, after),
        compactions=tuple(_compactions(between, own)),
        lost=tuple(_lost(before, after, removed | changed, fates)),
    )


class _Fates:
    """Tell from the events between two places what became of the items of the first."""

    def __init__(self, before: History, after: History, between: Sequence[Recorded]) -> None:
        self.before = before
        self.after = after
        self.has_branched = before.key != after.key
        self.facts = [(recorded.event.seq, recorded.event.data) for recorded in between]
        self.said: dict[str, tuple[How, str | None]] = {}
        self.newest_ids: set[str] = set()
        self.after_ids = {entry.item.id for entry in after.entries}
        for _, fact in self.facts:
            if isinstance(fact, HistoryReplaced):
                self._replaced(fact)
            elif isinstance(
                fact, HistoryEdited | HistoryDecompressed | SessionErased | SessionRewound | CompactionUndone
            ):
                self.newest_ids = set()
            if isinstance(fact, HistoryEdited):
                self._edited(fact)

    def _replaced(self, fact: HistoryReplaced) -> None:
        receipt = fact.receipt
        placed = [span.item for span in fact.body if isinstance(span, Place) and span.item not in receipt.offloaded]
        self.said |= dict.fromkeys(receipt.summarised, ("summarised", placed[0] if placed else None))
        self.said |= dict.fromkeys(receipt.dropped, ("dropped", None))
        self.newest_ids = {*receipt.summarised, *receipt.dropped, *receipt.cut}

    def _edited(self, fact: HistoryEdited) -> None:
        """Note which compressed block stands for which items; the receipt has them all, in order."""
        ids = () if fact.receipt is UNSET else fact.receipt.summarised
        for edited in fact.ranges:
            block = next((found for item in edited.items if (found := read_block(item)) is not None), None)
            if block is not None and block.first in ids and block.last in ids:
                covered = ids[ids.index(block.first) : ids.index(block.last) + 1]
                self.said |= dict.fromkeys(covered, ("compressed", block.id))

    def came(self, entry: Entry) -> Change:
        how: How = "appended"
        if entry.form in ("summary", "edited", "compressed"):
            how = entry.form
        elif not self.has_branched and entry.seq <= self.before.seq:
            how = "returned"
        return _change(entry, how, before=0, after=entry.tokens.upper)

    def went(self, entry: Entry) -> Change:
        how, into = self._why(entry)
        return _change(entry, how, before=entry.tokens.upper, after=0, into=into)

    def back(self, change: Change) -> Back:
        if change.how == "offloaded" or (change.how == "compressed" and change.into in self.after_ids):
            return "restore"
        if change.how == "rewound":
            return "rewind"
        return "undo" if change.item in self.newest_ids else "history"

    def _why(self, entry: Entry) -> tuple[How, str | None]:
        how = self._by_place(entry)
        if how is not None:
            return how, None
        if entry.item.id in self.said:
            return self.said[entry.item.id]
        kinds = {type(fact) for _, fact in self.facts}
        if entry.form == "compressed" and HistoryDecompressed in kinds:
            return "undone", None
        if HistoryEdited in kinds:
            return "edited", None
        if entry.form == "summary" and CompactionUndone in kinds:
            return "undone", None
        return ("elsewhere" if self.has_branched else "rewound"), None

    def _by_place(self, entry: Entry) -> How | None:
        """Return what took the item out of the history for where it stood, if that did."""
        if any(isinstance(fact, SessionErased) for _, fact in self.facts):
            return "erased"
        if self.has_branched:
            return None
        if entry.seq > self.after.seq:
            return "later"
        rewinds = ((seq, fact.to_seq) for seq, fact in self.facts if isinstance(fact, SessionRewound))
        return "rewound" if any(to_seq < entry.seq <= seq for seq, to_seq in rewinds) else None


def _by_id(history: History) -> dict[str, Entry]:
    return {entry.item.id: entry for entry in history.entries}


def _side(history: History) -> Side:
    return Side(key=history.key, seq=history.seq, version=history.version, tokens=history.tokens, hash=history.hash)


def _is_same(entry: Entry, other: Entry) -> bool:
    """Return whether two entries of one id, of two sessions, are one item: as it was, behind a placeholder, or cut."""
    if entry.item == other.item or _original(entry) == _original(other):
        return True
    if type(entry.item) is not type(other.item) or entry.form == "summary":
        return False
    short, long = sorted((item_text(entry.item), item_text(other.item)), key=len)
    return "cut" in (entry.form, other.form) or long.startswith(short)


def _original(entry: Entry) -> str:
    return entry.original or item_hash(entry.item)


def _changed(entry: Entry, later: Entry) -> Change:
    how: How
    if later.form == "placeholder":
        how = "offloaded"
    elif later.form == "cut" or (later.form in ("summary", "compressed") and later.tokens.upper < entry.tokens.upper):
        how = "cut"
    elif entry.form in ("placeholder", "cut"):
        how = "restored"
    else:
        grown = len(item_text(later.item)) > len(item_text(entry.item))
        how = "extended" if grown else "rewound"
    return _change(entry, how, before=entry.tokens.upper, after=later.tokens.upper)


def _change(entry: Entry, how: How, *, before: int, after: int, into: str | None = None) -> Change:
    return Change(item=entry.item.id, kind=kind_of(entry), how=how, tokens_before=before, tokens_after=after, into=into)


def _kinds(before: History, after: History) -> dict[str, tuple[int, int]]:
    sums: dict[str, list[int]] = {}
    for side, history in enumerate((before, after)):
        for entry in history.entries:
            sums.setdefault(kind_of(entry), [0, 0])[side] += entry.tokens.upper
    return {kind: (then, now) for kind, (then, now) in sorted(sums.items())}


def _compactions(between: Iterable[Recorded], own: Mapping[str, int]) -> Iterable[Compaction]:
    for recorded in between:
        fact, seq = recorded.event.data, recorded.event.seq
        if isinstance(fact, HistoryReplaced):
            yield Compaction(seq=seq, version=fact.version, tier=fact.tier, receipt=fact.receipt)
        elif (receipt := receipt_of(recorded)) is not None:
            yield Compaction(seq=seq, version=own.get(recorded.hash), tier="edit", receipt=receipt)


def _lost(before: History, after: History, changes: dict[str, Change], fates: _Fates) -> list[Lost]:
    seen = {line for entry in after.entries for _, line in _lines(entry)}
    lost: list[Lost] = []
    for entry in before.entries:
        change = changes.get(entry.item.id)
        if change is None:
            continue
        gone: dict[str | None, list[str]] = {}
        for field, line in _lines(entry):
            if line not in seen:
                gone.setdefault(field, []).append(line)
        lost += [
            Lost(
                item=entry.item.id,
                kind=change.kind,
                text="\n".join(lines)[:TEXT_CHARACTERS_MAX],
                lines=len(lines),
                how=change.how,
                back=fates.back(change),
                seq=before.seq,
                field=field,
            )
            for field, lines in gone.items()
        ]
    rank = {"system": 0, "developer": 0, "user": 1, "summary": 2}
    return sorted(lost, key=lambda one: rank.get(one.kind, 3))


def _lines(entry: Entry) -> list[tuple[str | None, str]]:
    """Return the lines of an entry that say something, a summary's with the section that they stand in."""
    summary = read_summary(entry.item) if entry.form == "summary" else None
    if summary is not None:
        return [(field.name, " ".join(line.split())) for field in summary[1] for line in field.lines]
    if entry.form == "placeholder":
        return []
    lines = (" ".join(line.split()) for line in item_text(entry.item).splitlines())
    return [(None, line) for line in lines if line]
