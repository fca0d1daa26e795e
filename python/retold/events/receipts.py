"""What a compaction records of what it did."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

GuardAction = Literal["quoted", "dropped", "redacted", "plain"]
"""What was done to a line of a summary: quoted as data, left out, secrets left out of it, marks in it made plain."""


class Pin(Struct, frozen=True):
    """Record what a compaction kept verbatim: the item's id and the SHA-256 of its content."""

    item: str
    sha256: str


class Survival(Struct, frozen=True):
    """Record what of a history survived a compaction, as far as it can be counted.

    Attributes:
        prefix_tokens: what the unchanged leading entries take, upper bound.
        identifiers: how many paths, names, numbers and addresses the entries that left or changed held.
        identifiers_kept: how many of these the new history still shows.
    """

    prefix_tokens: int
    identifiers: int
    identifiers_kept: int


class Finding(Struct, frozen=True, omit_defaults=True):
    """Record what was found in a summary before it was written, and what was done about it. It holds no text.

    Attributes:
        rule: what was found: the name of a rule, the kind of a secret, or why a line may not stand where it stood.
        action: what was done.
        field: the section of the line.
        seqs: the sequences of the events that the line comes from, ascending, as far as they are known.
        lines: how many lines of that section.
    """

    rule: str
    action: GuardAction
    field: str
    seqs: tuple[int, ...] = ()
    lines: int = 1


class Receipt(Struct, frozen=True):
    """Record what a compaction did, in ids and tokens.

    Attributes:
        kept: how many entries stayed as they were.
        offloaded: ids of the items that a placeholder stands for now.
        summarised: ids of the entries that the summary stands for.
        dropped: ids of the entries that left the history without a trace in it (they stay in the log).
        cut: ids of the items whose text was cut in the middle.
        tokens_before: the history's size at the base, upper bound.
        tokens_after: the size of what replaced it, upper bound.
        target_tokens: the size that was aimed at.
        pins: what was kept verbatim, with hashes.
        prefix_kept: how many leading entries are byte-identical to those before (what a prompt cache keeps).
        survival: what survived beside the pins; not set in receipts that were written before it was measured.
        findings: what was found in the summary before it was written; not set where nothing was.
    """

    kept: int
    tokens_before: int
    tokens_after: int
    target_tokens: int
    offloaded: tuple[str, ...] = ()
    summarised: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()
    prefix_kept: int = 0
    survival: Survival | UnsetType = UNSET
    findings: tuple[Finding, ...] | UnsetType = UNSET
