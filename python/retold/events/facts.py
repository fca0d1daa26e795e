"""Facts: what can happen to a session, past tense. Each is the `data` of one event.

Source facts come from agents and people. Derived facts are written only by a worker, but for `ItemRestored` and
`HistoryDecompressed`, which agents and people write, too. Each of the others names the `base_seq` of the source event
that it was decided at: it changes the history as it stood there, and what was appended later follows unchanged. So the
result does not depend on how far the agent had got when the worker wrote it.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from retold.events.edits import EditedRange, Original
from retold.events.items import Item, Message
from retold.events.receipts import Receipt
from retold.events.spans import Span
from retold.events.windows import Policy, Tuning, Window

Tier = Literal["offload", "summary", "edit", "truncate"]
"""How a compaction frees room: reversible, summarised, by the agent, or as the last resort."""


class ForkPoint(Struct, frozen=True, omit_defaults=True):
    """Name the state of another session of the same tenant that a session starts from.

    Attributes:
        session: the parent.
        seq: the parent's event after which the two part.
        head: that event's hash, which proves the state that was forked from. None: nothing is inherited, the point is a
            remark (sessions opened before forks could be proven).
    """

    session: str
    seq: int
    head: str | None = None


class Offload(Struct, frozen=True):
    """Record one item that left the history reversibly.

    Attributes:
        item: its id.
        placeholder: the item that stands in its place (same id, same call, short content).
        sha256: the hash of the original's content, which a restore must give again.
        tokens_before: the original's size.
        tokens_after: the placeholder's size.
    """

    item: str
    placeholder: Item
    sha256: str
    tokens_before: int
    tokens_after: int


Trust = Literal["trusted", "agent", "untrusted"]
"""Whose words something is: the user's or the system's; the agent's own; a tool's, a page's, or nobody knows whose."""


class SummaryField(Struct, frozen=True):
    """Hold one section of a structured summary and the events that it was drawn from.

    Attributes:
        name: goal, constraints, decisions, files, errors, open_work, last_step or facts.
        lines: the section's lines.
        seqs: the sequences of the events that the lines come from, ascending.
        trust: the least trust of what they come from; not set in summaries that were written before it was computed.
    """

    name: str
    lines: tuple[str, ...]
    seqs: tuple[int, ...] = ()
    trust: Trust | UnsetType = UNSET


class SessionOpened(Struct, frozen=True):
    """Open a session. Always sequence 1."""

    window: Window
    policy: Policy = "ladder"
    encoding: str = "o200k_base"
    parent: ForkPoint | None = None
    tuning: Tuning | UnsetType = UNSET


class ItemAppended(Struct, frozen=True, gc=False):
    """Append one item to the conversation."""

    item: Item


class ItemExtended(Struct, frozen=True, gc=False):
    """Add streamed *text* to the newest item: a message, a call's arguments, a result or a reasoning text."""

    text: str


class UsageReported(Struct, frozen=True, gc=False, omit_defaults=True):
    """Record what the provider said a request cost, in tokens. `input_tokens` covers the whole prompt.

    The request is the one that brought the newest reply, or, before that is appended, the history as it stands.
    """

    input_tokens: int
    output_tokens: int = 0
    cached_tokens: int = 0
    model: str = ""


class CompactionRequested(Struct, frozen=True, omit_defaults=True):
    """Ask for a compaction now, whatever the size. `target_tokens` 0 means: the policy's own target."""

    target_tokens: int = 0
    reason: str = ""


class HistoryEdited(Struct, frozen=True):
    """Replace the entries from *first* to *last* (ids, both included) by *items*; None is the start, or the end.

    A new item of the role ``compressed`` stands for the entries of its range, which can be had back.

    Attributes:
        more: further ranges, replaced at once with the first; all in the history's order, none over another.
        receipt: what the edit did, where a model compressed its history.
    """

    items: tuple[Item, ...]
    first: str | None = None
    last: str | None = None
    reason: str = ""
    more: tuple[EditedRange, ...] | UnsetType = UNSET
    receipt: Receipt | UnsetType = UNSET

    @property
    def ranges(self) -> tuple[EditedRange, ...]:
        """Return every range, in order."""
        more = () if self.more is UNSET else self.more
        return (EditedRange(items=self.items, first=self.first, last=self.last), *more)


class ItemPinned(Struct, frozen=True):
    """Pin an item: it stays in the history verbatim until the session ends."""

    item: str


class WindowChanged(Struct, frozen=True, omit_defaults=True):
    """Go on under another *window*: the agent uses another model from here on.

    The history is compacted if it does not fit there. What was learnt of the old model's counts is forgotten if
    *encoding* names another vocabulary; None keeps the present one.
    """

    window: Window
    encoding: str | None = None


class SessionRewound(Struct, frozen=True):
    """Return the history to what it was at *to_seq*; everything after it stays in the log, out of the history.

    Pins, the usage reported and whether the session was closed are what they were there, too. An erasure is not undone:
    of what it erased, nothing comes back.
    """

    to_seq: int


class CompactionUndone(Struct, frozen=True):
    """Put the history back to what it would be had the compaction recorded at *seq* not happened.

    Only the newest compaction since the last edit or erasure can be undone. What was appended after it stays.
    """

    seq: int


class SessionTagged(Struct, frozen=True):
    """Name the place after event *seq*; a name that is in use moves there. Tags outlive rewinds."""

    name: str
    seq: int


class SessionUntagged(Struct, frozen=True):
    """Take a tag's name off; one that is not in use changes nothing."""

    name: str


class SessionClosed(Struct, frozen=True, omit_defaults=True):
    """Say that the session is done. No lock: an item that is appended later opens it again."""

    reason: str = ""


class SessionErased(Struct, frozen=True, omit_defaults=True):
    """Erase the session's content for good, naming who asked and why; no rewind brings it back.

    The log forgets everything before it, so it carries what a fold needs from there. Where that is missing, the event
    only empties the history, and nothing was removed from the log.

    Attributes:
        opened: how the session was opened, without its parent.
        next_item: the number of the next item: ids go on counting.
        version: how many replacements there had been.
    """

    by: str
    reason: str = ""
    opened: SessionOpened | None = None
    next_item: int = 0
    version: int = 0


class CompactionPlanned(Struct, frozen=True):
    """Announce a compaction of the history as it stands at *base_seq*; it is replaced, failed or abandoned later."""

    plan: str
    base_seq: int
    tier: Tier
    tokens_before: int
    target_tokens: int


class ItemsOffloaded(Struct, frozen=True):
    """Record the items that a plan offloads, with their placeholders."""

    plan: str
    base_seq: int
    items: tuple[Offload, ...]


class SummaryWritten(Struct, frozen=True, omit_defaults=True):
    """Record a summary. It is never computed again: replay reads it from here.

    Attributes:
        item: what the model is sent, with the id that `HistoryReplaced` places: a message, or a provider's block that
            has the message's text as its words.
        fields: the structured summary that the message was rendered from.
        summarizer: the name of what wrote it.
        covers: ids of the entries that it stands for.
        input_tokens: what writing it cost, as the provider said; 0 where nobody did.
        output_tokens: the same of what was written.
        instead_of: who was asked first and failed, each with the kind of its error; empty if nobody did.
    """

    plan: str
    base_seq: int
    item: Item
    fields: tuple[SummaryField, ...]
    summarizer: str
    covers: tuple[str, ...]
    input_tokens: int = 0
    output_tokens: int = 0
    instead_of: str = ""


class HistoryReplaced(Struct, frozen=True, omit_defaults=True):
    """Replace the history at *base_seq* by *body*; later items follow unchanged.

    Attributes:
        version: the number of this replacement, 1, 2, 3 … per session.
        body: the new history in order; kept entries by id, new text only where there is some.
        hash: the content hash of the new history at the base (`retold.fold.history_hash`).
        due_tokens: the size from which a compaction was due, as reports had calibrated it; 0: the window's own share.
        note: tells the model what was dropped, an item that *body* places; None where there was no room, or no need.
    """

    plan: str
    base_seq: int
    version: int
    tier: Tier
    body: tuple[Span, ...]
    hash: str
    receipt: Receipt
    due_tokens: int = 0
    note: Message | None = None


class CompactionFailed(Struct, frozen=True, omit_defaults=True):
    """Record that a plan could not be carried out; the history is as it was. `due_tokens` as in `HistoryReplaced`."""

    plan: str
    base_seq: int
    reason: str
    due_tokens: int = 0


class CompactionAbandoned(Struct, frozen=True):
    """Record that a plan was given up because its base is no longer a prefix of the history."""

    plan: str
    base_seq: int
    reason: str


class ItemRestored(Struct, frozen=True):
    """Put an offloaded item's original back in its place. Carries it, so that no reader has to search for it.

    Whoever asked for it writes it: an agent, a person or a worker.
    """

    item: Item


class HistoryDecompressed(Struct, frozen=True, omit_defaults=True):
    """Put entries back that the compressed block *block* stands for. Carries them, as `ItemRestored` does.

    Attributes:
        originals: all of them, which take the block's place, or some, in their order.
        behind: where only some return: the entry that they are placed behind, the block itself or one that returned
            before; the block stays.
        summary: the fields of the newest summary, if that is among the originals.
    """

    block: str
    originals: tuple[Original, ...]
    behind: str | None = None
    summary: tuple[SummaryField, ...] = ()


Source = (
    SessionOpened
    | ItemAppended
    | ItemExtended
    | UsageReported
    | CompactionRequested
    | HistoryEdited
    | ItemPinned
    | WindowChanged
    | SessionRewound
    | CompactionUndone
    | SessionTagged
    | SessionUntagged
    | SessionClosed
    | SessionErased
)
Based = CompactionPlanned | ItemsOffloaded | SummaryWritten | HistoryReplaced | CompactionFailed | CompactionAbandoned
"""Derived facts that take effect at their `base_seq`."""

Derived = Based | ItemRestored | HistoryDecompressed
"""Facts that follow from what was said before: a worker's, and what it took away put back."""

Fact = Source | Derived
