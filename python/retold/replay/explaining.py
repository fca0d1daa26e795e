"""What one compaction did, told from its receipt, the states around it, and the events that led to it. Pure.

What was kept and what a pin's hash is are not believed but looked up again in the history that the events give.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct

from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    Finding,
    ForkPoint,
    HistoryEdited,
    HistoryReplaced,
    Receipt,
    Recorded,
    SessionKey,
    SummaryField,
    SummaryWritten,
    Tier,
    ToolCall,
    ToolResult,
    Window,
)
from retold.fold import DUE_SHARE, Context, Entry, item_hash, kind_of


class Compacted(Struct, frozen=True):
    """Hold one entry that a compaction changed.

    Attributes:
        item: its id.
        kind: its role, or what it is.
        name: the tool, of a call or a result; else empty.
        tokens_after: what stands there now; 0 if nothing does.
        back: how to get it back: restore it, undo the newest compaction, or read the history before (`base_seq`).
    """

    item: str
    kind: str
    name: str
    tokens_before: int
    tokens_after: int
    back: Literal["restore", "undo", "history"]


class Summarised(Struct, frozen=True):
    """Hold what a summary stands for, and what it says.

    Attributes:
        item: the summary's id; of an agent's compression, those of its blocks.
        ranges: ids of the entries that it stands for, neighbours joined: (first, last).
        seqs: the sequences that brought them, first and last.
        times: when these were recorded; None where this session does not hold both.
        fields: the sections, in order; empty for an agent's own words.
        summarizer: who wrote it.
        instead_of: who was asked first and failed.
    """

    item: tuple[str, ...]
    ranges: tuple[tuple[str, str], ...]
    entries: int
    tokens_before: int
    tokens_after: int
    seqs: tuple[int, int]
    times: tuple[datetime, datetime] | None
    fields: tuple[SummaryField, ...]
    summarizer: str
    instead_of: str = ""


class NotMade(Struct, frozen=True):
    """Hold a compaction that failed or was given up, and why."""

    seq: int
    base_seq: int
    how: Literal["failed", "abandoned"]
    reason: str


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


class Explanation(Struct, frozen=True):
    """Tell what the compaction that made *version* did.

    Attributes:
        at: when it was recorded, at *seq*, by *actor*.
        base_seq: where it was decided.
        window: what it was made for; *due_tokens* is the size from which one was due, by our count.
        asked: the reason that was given, where it was asked for; None where its size alone called for it.
        kept: how many entries stayed as they were, and *kept_tokens* what they take.
        pins: how many entries must stay word for word; *pins_intact* how many have their hash in the history it made.
        identifiers: of the paths, names and numbers that left, how many, and how many can still be seen; None where
            the receipt is older than their counting.
        prefix_tokens: what the unchanged beginning takes, which a prompt cache keeps.
        findings: what the guard found in its summary and did about it, by rule and source, without text.
        is_newest: whether it is the newest compaction now, which can be undone.
        not_made: those that failed or were given up since the compaction before.
        note: the id of the note that names what was dropped, empty where there is none; it takes *note_tokens*.
        parent: what the session was forked from, if it was; sequences of 0 and less are the parent's, less its `seq`.
    """

    key: SessionKey
    version: int
    tier: Tier
    policy: str
    seq: int
    at: datetime
    actor: str
    base_seq: int
    window: Window
    encoding: str
    due_tokens: int
    asked: str | None
    tokens_before: int
    tokens_after: int
    target_tokens: int
    kept: int
    kept_tokens: int
    offloaded: tuple[Compacted, ...]
    summarised: Summarised | None
    cut: tuple[Compacted, ...]
    dropped: tuple[Compacted, ...]
    pins: int
    pins_intact: int
    identifiers: tuple[int, int] | None
    prefix_entries: int
    prefix_tokens: int
    findings: tuple[Finding, ...]
    is_newest: bool
    not_made: tuple[NotMade, ...]
    note: str = ""
    note_tokens: int = 0
    parent: ForkPoint | None = None


def receipt_of(recorded: Recorded) -> Receipt | None:
    """Return the receipt of the compaction that *recorded* is, by policy or by an agent; None if it is none."""
    match recorded.event.data:
        case HistoryReplaced(receipt=receipt):
            return receipt
        case HistoryEdited(receipt=receipt) if receipt is not UNSET:
            return receipt
        case _:
            return None


def version_of(recorded: Recorded, version: int) -> Version | None:
    """Return the compaction that *recorded* is, after which the history has *version*; None if it is none."""
    receipt, fact = receipt_of(recorded), recorded.event.data
    if receipt is None:
        return None
    tier = fact.tier if isinstance(fact, HistoryReplaced) else "edit"
    return Version(version=version, tier=tier, receipt=receipt, recorded=recorded)


def explain(before: Context, events: Sequence[Recorded], after: Context, *, newest_seq: int) -> Explanation:
    """Return what the last of *events* did, a compaction; *before* and *after* are the states around it.

    *events* are the session's own, from its first; *newest_seq* is the compaction that an undo would take back now.
    O(entries + events).
    """
    recorded = events[-1]
    receipt, fact = receipt_of(recorded), recorded.event.data
    assert receipt is not None, "the last event is a compaction"
    base_seq = fact.base_seq if isinstance(fact, HistoryReplaced) else recorded.event.seq - 1
    base = {entry.item.id: entry for entry in before.entries if entry.seq <= base_seq}
    now = {entry.item.id: entry for entry in after.entries}
    tools = {entry.item.call_id: entry.item.name for entry in before.entries if isinstance(entry.item, ToolCall)}
    changes = _Changes(base, now, tools, is_newest=newest_seq == recorded.event.seq)
    survival = receipt.survival or None
    note = fact.note.id if isinstance(fact, HistoryReplaced) and fact.note is not None else ""
    is_asked = isinstance(fact, HistoryReplaced) and before.requested_seq <= base_seq
    requested = before.requested if is_asked else None
    return Explanation(
        key=after.key,
        version=after.version,
        tier=fact.tier if isinstance(fact, HistoryReplaced) else "edit",
        policy=before.policy,
        seq=recorded.event.seq,
        at=recorded.event.at,
        actor=recorded.event.actor,
        base_seq=base_seq,
        window=before.window,
        encoding=before.encoding,
        due_tokens=_due(fact, before.window),
        asked=None if requested is None else requested.reason,
        tokens_before=receipt.tokens_before,
        tokens_after=receipt.tokens_after,
        target_tokens=receipt.target_tokens,
        kept=receipt.kept,
        kept_tokens=sum(entry.tokens.upper for item, entry in base.items() if _stayed(entry, now.get(item))),
        offloaded=changes.told(receipt.offloaded, back="restore"),
        summarised=_summarised(receipt, base, now, events),
        cut=changes.told(receipt.cut),
        dropped=changes.told(receipt.dropped),
        pins=len(receipt.pins),
        pins_intact=sum(pin.item in now and item_hash(now[pin.item].item) == pin.sha256 for pin in receipt.pins),
        identifiers=None if survival is None else (survival.identifiers, survival.identifiers_kept),
        prefix_entries=receipt.prefix_kept,
        prefix_tokens=sum(entry.tokens.upper for entry in after.entries[: receipt.prefix_kept]),
        findings=receipt.findings or (),
        is_newest=newest_seq == recorded.event.seq,
        not_made=tuple(not_made(events[:-1])),
        note=note,
        note_tokens=now[note].tokens.upper if note else 0,
        parent=after.parent,
    )


def not_made(events: Sequence[Recorded]) -> list[NotMade]:
    """Return the compactions that failed or were given up since the last one that was made, oldest first."""
    last = max((at for at, one in enumerate(events) if receipt_of(one) is not None), default=-1)
    return [found for one in events[last + 1 :] if (found := missed(one)) is not None]


def missed(recorded: Recorded) -> NotMade | None:
    """Return what *recorded* says of a compaction that was not made; None if it is another event."""
    match recorded.event.data:
        case CompactionFailed(base_seq=base_seq, reason=reason):
            return NotMade(recorded.event.seq, base_seq, "failed", reason)
        case CompactionAbandoned(base_seq=base_seq, reason=reason):
            return NotMade(recorded.event.seq, base_seq, "abandoned", reason)
        case _:
            return None


class _Changes:
    """Tell of entries what they were before a compaction and are after it."""

    def __init__(
        self, base: dict[str, Entry], now: dict[str, Entry], tools: dict[str, str], *, is_newest: bool
    ) -> None:
        self._base, self._now, self._tools = base, now, tools
        self._else: Literal["undo", "history"] = "undo" if is_newest else "history"

    def told(self, ids: Iterable[str], *, back: Literal["restore"] | None = None) -> tuple[Compacted, ...]:
        return tuple(
            Compacted(
                item=item,
                kind=kind_of(self._base[item]),
                name=self._name(self._base[item]),
                tokens_before=self._base[item].tokens.upper,
                tokens_after=self._now[item].tokens.upper if item in self._now else 0,
                back=back or self._else,
            )
            for item in ids
        )

    def _name(self, entry: Entry) -> str:
        match entry.item:
            case ToolCall(name=name):
                return name
            case ToolResult(call_id=call_id):
                return self._tools.get(call_id, "")
            case _:
                return ""


def _stayed(entry: Entry, now: Entry | None) -> bool:
    return now is not None and now.item == entry.item


def _due(fact: object, window: Window) -> int:
    recorded = fact.due_tokens if isinstance(fact, HistoryReplaced) else 0
    return recorded or int(window.pre_rot_tokens * DUE_SHARE)


def _summarised(
    receipt: Receipt, base: dict[str, Entry], now: dict[str, Entry], events: Sequence[Recorded]
) -> Summarised | None:
    if not receipt.summarised:
        return None
    written = next((one.event.data for one in reversed(events) if isinstance(one.event.data, SummaryWritten)), None)
    fact = events[-1].event.data
    written = written if isinstance(fact, HistoryReplaced) else None
    came = [item for item in now if item not in base and now[item].seq <= events[-1].event.seq]
    new = (written.item.id,) if written is not None else tuple(came)
    covered = [base[item] for item in receipt.summarised]
    seqs = [entry.seq for entry in covered]
    times = {one.event.seq: one.event.at for one in events}
    first, last = min(seqs), max(seqs)
    return Summarised(
        item=new,
        ranges=tuple(_ranges(list(base), set(receipt.summarised))),
        entries=len(covered),
        tokens_before=sum(entry.tokens.upper for entry in covered),
        tokens_after=sum(now[item].tokens.upper for item in new if item in now),
        seqs=(first, last),
        times=(times[first], times[last]) if first in times and last in times else None,
        fields=() if written is None else written.fields,
        summarizer=events[-1].event.actor if written is None else written.summarizer,
        instead_of="" if written is None else written.instead_of,
    )


def _ranges(order: Sequence[str], covered: set[str]) -> Iterable[tuple[str, str]]:
    """Yield the first and the last id of each run of *covered* in *order*."""
    run: list[str] = []
    for item in order:
        if item in covered:
            run.append(item)
        elif run:
            yield run[0], run[-1]
            run = []
    if run:
        yield run[0], run[-1]
