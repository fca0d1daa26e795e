"""Turn a decision into the facts that record it: what was offloaded or summarised, the new history, its receipt."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from msgspec import UNSET, Struct, structs

from retold.events import (
    Fact,
    Finding,
    HistoryReplaced,
    Item,
    ItemsOffloaded,
    Offload,
    Opaque,
    Pin,
    Receipt,
    SummaryField,
    SummaryWritten,
    Survival,
    Tier,
    plain_text,
)
from retold.fold import (
    PRIMING,
    Context,
    Entry,
    Rows,
    Tokens,
    count_item,
    item_hash,
    ledger_of,
    noted,
    placeholder_entry,
    spread,
    summary_entry,
)
from retold.ledger import Ledger
from retold.policy.bonds import Bonds
from retold.policy.decisions import Decision, OffloadEntries, OffloadItems, SummarizeSpan, TruncateHistory, Worded
from retold.policy.guarding import EXTRACTIVE, guard_fields
from retold.policy.identifiers import count_survivors
from retold.policy.limits import due_recorded
from retold.policy.offload import write_offload
from retold.policy.pins import fixed_positions
from retold.policy.remote import wordless_blocks
from retold.policy.summary import summary_message
from retold.tokens import encoding


class Summary(Struct, frozen=True):
    """Hold a written summary and the name of what wrote it.

    Attributes:
        block: the provider's own compaction, which stands for the same entries; the fields are its words for others.
        input_tokens: what writing it cost, as the provider said; 0 where nobody did.
        output_tokens: the same of what was written.
        instead_of: who was asked first and failed, each with the kind of its error; empty if the first one wrote it.
    """

    fields: tuple[SummaryField, ...]
    summarizer: str
    block: Opaque | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    instead_of: str = ""


class Replacement(Struct, frozen=True):
    """Hold the facts that carry a decision out, the last of them `HistoryReplaced`, and the entries they give."""

    facts: tuple[Fact, ...]
    replaced: HistoryReplaced
    rows: Rows

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return the entries of the new history."""
        return self.rows.entries


def tier_of(decision: Decision) -> Tier:
    """Return the ladder's step that *decision* is."""
    match decision:
        case OffloadItems() | OffloadEntries():
            return "offload"
        case SummarizeSpan():
            return "summary"
        case TruncateHistory():
            return "truncate"
        case _:
            assert_never(decision)


def plan_id(context: Context) -> str:
    """Return the name of the plan that the next replacement of *context* carries out."""
    return f"{context.version + 1}@{context.seq}"


def replace(
    context: Context, decision: Decision, *, summary: Summary | None = None, bonds: Bonds | None = None
) -> Replacement | None:
    """Return the facts that carry *decision* out on the history of *context*, whose `seq` is their base.

    *summary* is what a summarizer wrote, for a `SummarizeSpan` only. None is returned if the result would not be
    smaller than what it replaces, or the summary is longer than planned or says nothing: go on to the next tier then.
    *bonds* are the history's, where known.
    """
    bonds = bonds or Bonds(context.entries)
    if isinstance(decision, OffloadEntries):
        worded = write_offload(context, decision, bonds)
        return None if worded is None else replace(context, worded, bonds=bonds)
    if summary is not None and not _says(summary):
        return None
    findings: tuple[Finding, ...] = ()
    if summary is not None and isinstance(decision, SummarizeSpan):
        if _applied(context, decision, summary) is None:
            return None  # as it was written: it is not shortened into something that fits
        summary, findings = _guarded(context, decision, summary)
    applied = _applied(context, decision, summary) if summary is None or _says(summary) else None
    if applied is None:
        return None
    rows = Rows(applied.entries)
    pins = _pins(context, bonds, applied.entries, superseded=_superseded(context, decision, summary))
    if pins is None:
        return None
    replaced = HistoryReplaced(
        plan=plan_id(context),
        base_seq=context.seq,
        version=context.version + 1,
        tier=tier_of(decision),
        body=decision.body,
        hash=rows.hash,
        receipt=structs.replace(_receipt(context, decision, applied, pins), findings=findings or UNSET),
        due_tokens=due_recorded(context),
        note=decision.note if isinstance(decision, TruncateHistory) else None,
    )
    return Replacement(facts=(*applied.facts, replaced), replaced=replaced, rows=rows)


def _says(summary: Summary) -> bool:
    return any(line.strip() for field in summary.fields for line in field.lines)


class _Applied(Struct, frozen=True):
    """Hold the facts before a replacement, the entries that it gives, and their sizes."""

    facts: tuple[Fact, ...]
    entries: list[Entry]
    ledger: Ledger

    @property
    def upper_tokens(self) -> int:
        """Return the size of the history as one request, upper bound."""
        return self.ledger.upper + PRIMING


def _applied(context: Context, decision: Worded, summary: Summary | None) -> _Applied | None:
    """Return what *decision* gives; None if it is not smaller, or larger than planned."""
    vocabulary = encoding(context.encoding)
    before_facts, staged = _staged(context, decision, summary)
    entries = spread(
        decision.body, base=context.entries, staged=staged, count=lambda item: count_item(item, vocabulary)
    )
    applied = _Applied(facts=before_facts, entries=entries, ledger=ledger_of(entries))
    missed = isinstance(decision, SummarizeSpan) and applied.upper_tokens > decision.target_tokens
    return None if missed or applied.upper_tokens >= context.tokens.upper else applied


def _guarded(context: Context, decision: SummarizeSpan, summary: Summary) -> tuple[Summary, tuple[Finding, ...]]:
    """Return *summary* as it may be told, and what was found in it: the one door that every summary goes through."""
    # A provider's block comes with the words of the extraction.
    writer = summary.summarizer if summary.block is None else EXTRACTIVE
    size = count_item(_summary_item(decision, summary), encoding(context.encoding)).upper
    guarded = guard_fields(summary.fields, context, decision, summarizer=writer, room_tokens=size)
    return structs.replace(summary, fields=guarded.fields), guarded.findings


def _staged(
    context: Context, decision: Worded, summary: Summary | None
) -> tuple[tuple[Fact, ...], Mapping[str, Entry]]:
    plan, base_seq = plan_id(context), context.seq
    vocabulary = encoding(context.encoding)
    match decision:
        case OffloadItems():
            originals = {entry.item.id: entry for entry in context.entries}
            staged, offloads = {}, []
            for placeholder in decision.items:
                original, item = originals[placeholder.of.id], placeholder.item
                offload = _offload(original, item, placeholder.tokens)
                offloads.append(offload)
                staged[offload.item] = placeholder_entry(
                    item, seq=original.seq, original=offload.sha256, tokens=placeholder.tokens
                )
            return (ItemsOffloaded(plan=plan, base_seq=base_seq, items=tuple(offloads)),), staged
        case SummarizeSpan():
            assert summary is not None
            item = _summary_item(decision, summary)
            written = SummaryWritten(
                plan=plan,
                base_seq=base_seq,
                item=item,
                fields=summary.fields,
                summarizer=summary.summarizer,
                covers=decision.covers,
                input_tokens=summary.input_tokens,
                output_tokens=summary.output_tokens,
                instead_of=summary.instead_of,
            )
            entry = summary_entry(item, base_seq=base_seq, tokens=count_item(item, vocabulary))
            return (written,), {decision.summary_id: entry}
        case TruncateHistory(note=note):
            return (), noted(note, base_seq=base_seq, count=lambda item: count_item(item, vocabulary))
        case _:
            assert_never(decision)


def _offload(entry: Entry, placeholder: Item, tokens: Tokens) -> Offload:
    return Offload(
        item=entry.item.id,
        placeholder=placeholder,
        sha256=item_hash(entry.item),
        tokens_before=entry.tokens.upper,
        tokens_after=tokens.upper,
    )


def _summary_item(decision: SummarizeSpan, summary: Summary) -> Item:
    """Return what the model is sent: the summary's message, or the provider's block with it for everybody else."""
    message = summary_message(summary.fields, item_id=decision.summary_id, covers=decision.covers)
    if summary.block is None:
        return message
    return structs.replace(summary.block, id=decision.summary_id, words=plain_text(message.content))


def _superseded(context: Context, decision: Worded, summary: Summary | None) -> set[str]:
    """Return the blocks that a provider's own compaction stands for, too: it alone could read them, and it has."""
    if summary is None or summary.block is None or not isinstance(decision, SummarizeSpan):
        return set()
    blocks = {context.entries[at].item.id for at in wordless_blocks(context, summary.block.form)}
    return blocks & set(decision.covers)


def _pins(context: Context, bonds: Bonds, entries: Sequence[Entry], *, superseded: set[str]) -> tuple[Pin, ...] | None:
    """Return what every compaction keeps, with hashes; None if *entries* have not all of it, letter for letter."""
    fixed = [context.entries[at] for at in sorted(fixed_positions(context, bonds))]
    fixed = [entry for entry in fixed if entry.item.id not in superseded]
    pins = tuple(Pin(item=entry.item.id, sha256=item_hash(entry.item)) for entry in fixed)
    held = set(map(id, fixed))
    if [entry for entry in entries if id(entry) in held] == fixed:
        return pins  # they are the very same, as mostly
    ids = {pin.item for pin in pins}
    stayed = tuple(Pin(item.id, item_hash(item)) for item in (entry.item for entry in entries) if item.id in ids)
    return pins if stayed == pins else None


def _receipt(context: Context, decision: Worded, applied: _Applied, pins: tuple[Pin, ...]) -> Receipt:
    # What stays is the very same object: nothing of a long history is looked into to see that.
    entries, old = applied.entries, set(map(id, context.entries))
    stayed = {id(entry) for entry in entries if id(entry) in old}
    left = [entry.item for entry in context.entries if id(entry) not in stayed]
    identifiers, identifiers_kept = count_survivors(left, (entry.item for entry in entries))
    prefix = _common_prefix(context.entries, entries)
    cut = () if isinstance(decision, OffloadItems) else decision.cut
    return Receipt(
        kept=len(stayed),
        tokens_before=context.tokens.upper,
        tokens_after=applied.upper_tokens,
        target_tokens=decision.target_tokens,
        offloaded=tuple(placeholder.of.id for placeholder in decision.items)
        if isinstance(decision, OffloadItems)
        else (),
        summarised=decision.covers if isinstance(decision, SummarizeSpan) else (),
        dropped=decision.dropped if isinstance(decision, TruncateHistory) else (),
        cut=tuple(put.item.id for put in cut),
        pins=pins,
        prefix_kept=prefix,
        survival=Survival(
            prefix_tokens=applied.ledger.prefix(prefix).upper,
            identifiers=identifiers,
            identifiers_kept=identifiers_kept,
        ),
    )


def _common_prefix(old: Sequence[Entry], new: Sequence[Entry]) -> int:
    count = 0
    for before, after in zip(old, new, strict=False):
        if before is not after and before.item != after.item:
            break
        count += 1
    return count
