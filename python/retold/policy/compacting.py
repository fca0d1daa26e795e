"""Compact a list of messages without a log: the same ladder on a context made on the spot. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, get_args

from msgspec import Struct, structs

from retold.errors import FloorError, InputError
from retold.events import (
    EntryForm,
    Form,
    Item,
    Policy,
    Receipt,
    SessionKey,
    SummaryField,
    SummaryWritten,
    Tier,
    Tuning,
    Window,
)
from retold.fold import Context, Entry, Tokens, count_item, ledger_of, request_size
from retold.formats import detect_forms, render, to_items
from retold.formats.expect import kind_of
from retold.policy.blocks import read_block
from retold.policy.decisions import Decision, SummarizeSpan
from retold.policy.extract import extract_summary
from retold.policy.ladder import choose
from retold.policy.limits import Limits, limits_asked, limits_within
from retold.policy.offload import StandIn
from retold.policy.presets import PRESETS, check_tuning, preset_of
from retold.policy.replacement import Replacement, Summary, replace, tier_of
from retold.policy.summary import read_summary
from retold.policy.written import SummaryFunction, check_plain, check_written, summary_of
from retold.tokens import encoding as vocabulary

SummaryWriter = Callable[[Context, SummarizeSpan], Summary | None]
"""Write the summary that a decision asks for, or None if it cannot be had."""

_KEY = SessionKey(tenant="default", session="compact")


class Compacted(Struct, frozen=True):
    """Hold a compacted list of messages.

    Attributes:
        messages: in the form that was given; messages that were kept are equal to those that were given, and copies.
        counted: their size as one request, by how it is known.
        tier: the step of the ladder that was taken, or None if the messages fitted already.
        receipt: what was kept, offloaded, summarised, cut and dropped.
        summarizer: who wrote the summary; None if there is none.
    """

    messages: list[dict[str, Any]]
    counted: Tokens
    tier: Tier | None
    receipt: Receipt
    originals: Mapping[str, tuple[Item, Form]]
    summarizer: str | None = None

    @property
    def tokens(self) -> int:
        """Return the size as one request, in tokens; the upper bound where a part is estimated."""
        return self.counted.upper

    def restore(self, item_id: str) -> list[dict[str, Any]]:
        """Return the original of an item that left the list, as messages of the form that was given.

        Raises:
            InputError: if no item has this id.
        """
        if item_id not in self.originals:
            raise InputError(f"expected the id of an item, i1 to i{len(self.originals)}, got {item_id!r}")
        item, form = self.originals[item_id]
        return render((item,), form)


def compact(  # noqa: PLR0913 - each is a choice of the caller
    messages: Iterable[Mapping[str, Any]],
    *,
    budget_tokens: int,
    policy: Policy = "ladder",
    keep_recent: int | None = None,
    encoding: str = "o200k_base",
    form: Form | None = None,
    summarizer: SummaryFunction | None = None,
    stand_in: StandIn | None = None,
) -> Compacted:
    """Return *messages* in the same form, within *budget_tokens* as one request. Pure: no log, no server, no model.

    The ladder's steps are taken only as far as needed: offload old tool results, then summarise, then truncate. Calls
    stay with their results; system and developer text and the latest user message stay word for word. A summary of an
    earlier compaction is known again: the next one is built on it and takes its place.

    Args:
        messages: Chat Completions messages, Responses items or Anthropic messages, one form a list; read once.
        budget_tokens: what the result may take, framing included; at least 1.
        policy: the preset: ``ladder``, ``agkit``, ``codex`` or ``agent``. There is no provider here, so that
            ``codex-remote`` is ``codex`` with a larger budget for what the user said.
        keep_recent: how many of the newest items are never offloaded; None: the preset's.
        encoding: the vocabulary to count by.
        form: the form of *messages*, where it is not to be detected.
        summarizer: writes summaries in place of the extraction: a text, lines by section, or fields. If it raises, or
            what it wrote cannot be used, the summary is extracted; `Compacted.summarizer` says who wrote it. One that
            is awaited, or a model's name, is a worker's (`retold.run_worker`), and refused.
        stand_in: given an item and its placeholder, returns what is to stand there, or None to keep the item.

    Raises:
        InputError: if a message is not of its form, or an argument is out of range.
        FloorError: if what must be kept word for word is larger than the budget.
    """
    _check(budget_tokens=budget_tokens, policy=policy, form=form)
    for name, function in (("summarizer", summarizer), ("stand_in", stand_in)):
        if function is not None:
            check_plain(function, name=name)
    tuning = check_tuning(Tuning(keep_recent=keep_recent))
    messages = listed(messages)
    form = form or detect_forms(messages)
    sources = [to_items(message, form=form) for message in messages]
    context = list_context([item for source in sources for item in source], budget_tokens, encoding)
    originals = {entry.item.id: (entry.item, form) for entry in context.entries}
    if context.tokens.upper <= budget_tokens:
        return _unchanged(context, messages, originals)
    limits = limits_within(budget_tokens, preset_of(policy, tuning))
    write = None if summarizer is None else _writer(summarizer)
    replacement = carry_out(context, limits, write=write, stand_in=stand_in)
    return Compacted(
        messages=list_messages(replacement.entries, context, messages, sources, form),
        counted=request_size(ledger_of(replacement.entries)),
        tier=replacement.replaced.tier,
        receipt=replacement.replaced.receipt,
        originals=originals,
        summarizer=next((fact.summarizer for fact in replacement.facts if isinstance(fact, SummaryWritten)), None),
    )


def _unchanged(
    context: Context, messages: Sequence[Mapping[str, Any]], originals: Mapping[str, tuple[Item, Form]]
) -> Compacted:
    """Return copies of *messages*, which fit as they are."""
    size, kept = context.tokens.upper, len(context.entries)
    return Compacted(
        messages=[deepcopy(dict(message)) for message in messages],
        counted=context.tokens,
        tier=None,
        receipt=Receipt(
            kept=kept,
            tokens_before=size,
            tokens_after=size,
            target_tokens=context.window.hard_limit,
            prefix_kept=kept,
        ),
        originals=originals,
    )


def _writer(function: SummaryFunction) -> SummaryWriter:
    def write(context: Context, decision: SummarizeSpan) -> Summary | None:
        name = str(getattr(function, "__name__", "function"))
        try:
            written = function(context, decision)
        except Exception:  # noqa: BLE001 - whatever it raises, a summary that failed must not cost the history
            return None
        check_written(written, name="summarizer")
        try:
            return summary_of(written, context, decision, summarizer=name)
        except Exception:  # noqa: BLE001 - as above: it may have written anything
            return None

    return write


def carry_out(
    context: Context, limits: Limits, *, write: SummaryWriter | None = None, stand_in: StandIn | None = None
) -> Replacement:
    """Return the replacement that the engine comes to; each tier that misses is left out.

    A summary is what *write* gives; where it gives none, or none that can be used, it is extracted.

    Raises:
        FloorError: if what must be kept verbatim is larger than the ceiling, or is all there is.
        InputError: if *stand_in* gives what cannot stand in an item's place.
    """
    missed: list[Tier] = []
    while True:
        decision = choose(context, limits, without=missed, stand_in=stand_in)
        replacement = _carried_out(context, decision, write)
        if replacement is not None:
            return replacement
        if tier_of(decision) == "truncate":
            size = context.tokens.upper
            target = limits_asked(limits, context.requested).target
            raise FloorError(floor_tokens=size, budget_tokens=min(target, size - 1))
        missed.append(tier_of(decision))


def _carried_out(context: Context, decision: Decision, write: SummaryWriter | None) -> Replacement | None:
    if not isinstance(decision, SummarizeSpan):
        return replace(context, decision)
    summary = None if write is None else write(context, decision)
    replacement = None if summary is None else replace(context, decision, summary=summary)
    return replacement or replace(context, decision, summary=extract_for(context, decision))


def extract_for(context: Context, decision: SummarizeSpan) -> Summary:
    """Return the extractive summary that *decision* asks for."""
    covered = set(decision.covers)
    fields = extract_summary(
        [entry for entry in context.entries if entry.item.id in covered],
        previous=context.summary,
        budget_tokens=decision.budget_tokens,
        item_id=decision.summary_id,
        encoding=vocabulary(context.encoding),
        kept=[entry for entry in context.entries if entry.item.id not in covered],
    )
    return Summary(fields=fields, summarizer="extractive")


def _check(*, budget_tokens: object, policy: object, form: object) -> None:
    if not isinstance(policy, str) or policy not in PRESETS:
        raise InputError(f"expected a policy among {', '.join(PRESETS)}, got {policy!r}")
    if not isinstance(budget_tokens, int) or isinstance(budget_tokens, bool):
        raise InputError(f"expected a whole number of tokens as the budget, got {type(budget_tokens).__name__}")
    if budget_tokens < 1:
        raise InputError(f"expected a budget of at least 1 token, got {budget_tokens}")
    if form is not None and form not in get_args(Form):
        raise InputError(f"expected a form among {', '.join(get_args(Form))}, got {form!r}")


def listed(messages: object) -> list[Mapping[str, Any]]:
    """Return *messages* as a list: an iterator is read once, and they are needed thrice."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise InputError(f"expected an iterable of messages, got {kind_of(messages)}")
    return list(messages)


def list_context(items: Sequence[Item], budget_tokens: int, encoding: str) -> Context:
    """Return *items* as a context: ids count from ``i1``; summaries and compressed blocks are known by their marks."""
    counting = vocabulary(encoding)
    blocks = {at: block.id for at, item in enumerate(items) if (block := read_block(item)) is not None}
    named = {block: at for at, block in reversed(blocks.items())}  # of copies, the first is the block
    ids = [f"i{at + 1}" if named.get(blocks.get(at, "")) != at else blocks[at] for at in range(len(items))]
    numbered = [structs.replace(item, id=item_id) for item, item_id in zip(items, ids, strict=True)]
    found = {item.id: summary for item in numbered if (summary := read_summary(item)) is not None}
    forms: dict[str, EntryForm] = {**dict.fromkeys(found, "summary"), **dict.fromkeys(named, "compressed")}
    entries = tuple(
        Entry(item=item, tokens=count_item(item, counting), seq=seq, form=forms.get(item.id, "whole"))
        for seq, item in enumerate(numbered, start=1)
    )
    return Context(
        key=_KEY,
        seq=len(entries),
        head="",
        window=Window(hard_limit=budget_tokens, pre_rot=budget_tokens),
        policy="ladder",
        encoding=encoding,
        entries=entries,
        tokens=request_size(ledger_of(entries)),
        version=max((number for number, _ in found.values()), default=0),
        next_item=max((int(block[1:]) for block in named), default=0) + 1,
        summary=_joined([fields for _, fields in found.values()]),
    )


def _joined(summaries: Iterable[Sequence[SummaryField]]) -> tuple[SummaryField, ...]:
    """Return the fields of several summaries, oldest first, as one summary's, each line once."""
    lines: dict[str, dict[str, None]] = {}
    for fields in summaries:
        for field in fields:
            lines.setdefault(field.name, {}).update(dict.fromkeys(field.lines))
    return tuple(SummaryField(name=name, lines=tuple(held)) for name, held in lines.items())


def list_messages(
    entries: Sequence[Entry],
    context: Context,
    messages: Sequence[Mapping[str, Any]],
    sources: Sequence[Sequence[Item]],
    form: Form,
) -> list[dict[str, Any]]:
    """Return the messages of *entries*: the given one where all its items are unchanged, rendered anew elsewhere.

    *context* is what the *messages*, read as *sources*, were made into.
    """
    first_of, number = {}, 0
    for at, source in enumerate(sources):
        if source:
            first_of[context.entries[number].item.id] = at
        number += len(source)
    out: list[dict[str, Any]] = []
    changed: list[Item] = []
    position = 0
    while position < len(entries):
        source_at = first_of.get(entries[position].item.id)
        source = () if source_at is None else sources[source_at]
        run = [structs.replace(entry.item, id="") for entry in entries[position : position + len(source)]]
        if source_at is not None and run == list(source):
            out.extend([*render(changed, form), deepcopy(dict(messages[source_at]))])
            changed = []
            position += len(source)
        else:
            changed.append(entries[position].item)
            position += 1
    return out + render(changed, form)
