"""Compact a list of messages without a log: the same ladder on a context made on the spot. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, get_args

from msgspec import Struct, structs

from retold.errors import FloorError, InputError
from retold.events import Form, Item, Policy, Receipt, SessionKey, SummaryField, Tier, Tuning, Window
from retold.fold import Context, Entry, Tokens, count_item, ledger_of, request_size
from retold.formats import detect_forms, render, to_items
from retold.formats.expect import kind_of
from retold.policy.decisions import SummarizeSpan
from retold.policy.extract import extract_summary
from retold.policy.ladder import choose
from retold.policy.limits import Limits, limits_asked, limits_within
from retold.policy.presets import PRESETS, check_tuning, preset_of
from retold.policy.replacement import Replacement, Summary, replace, tier_of
from retold.policy.summary import read_summary
from retold.tokens import encoding as vocabulary

_KEY = SessionKey(tenant="default", session="compact")


class Compacted(Struct, frozen=True):
    """Hold a compacted list of messages.

    Attributes:
        messages: in the form that was given; messages that were kept are equal to those that were given, and copies.
        counted: their size as one request, by how it is known.
        tier: the step of the ladder that was taken, or None if the messages fitted already.
        receipt: what was kept, offloaded, summarised, cut and dropped.
    """

    messages: list[dict[str, Any]]
    counted: Tokens
    tier: Tier | None
    receipt: Receipt
    originals: Mapping[str, tuple[Item, Form]]

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


def compact(
    messages: Iterable[Mapping[str, Any]],
    *,
    budget_tokens: int,
    policy: Policy = "ladder",
    keep_recent: int | None = None,
    encoding: str = "o200k_base",
    form: Form | None = None,
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

    Raises:
        InputError: if a message is not of its form, or an argument is out of range.
        FloorError: if what must be kept word for word is larger than the budget.
    """
    _check(budget_tokens=budget_tokens, policy=policy, form=form)
    tuning = check_tuning(Tuning(keep_recent=keep_recent))
    messages = _listed(messages)
    form = form or detect_forms(messages)
    sources = [to_items(message, form=form) for message in messages]
    context = _context([item for source in sources for item in source], budget_tokens, encoding)
    originals = {entry.item.id: (entry.item, form) for entry in context.entries}
    if context.tokens.upper <= budget_tokens:
        size = context.tokens.upper
        receipt = Receipt(
            kept=len(context.entries),
            tokens_before=size,
            tokens_after=size,
            target_tokens=budget_tokens,
            prefix_kept=len(context.entries),
        )
        return Compacted(
            messages=[deepcopy(dict(message)) for message in messages],
            counted=context.tokens,
            tier=None,
            receipt=receipt,
            originals=originals,
        )
    replacement = carry_out(context, limits_within(budget_tokens, preset_of(policy, tuning)))
    return Compacted(
        messages=_messages(replacement.entries, messages, sources, form),
        counted=request_size(ledger_of(replacement.entries)),
        tier=replacement.replaced.tier,
        receipt=replacement.replaced.receipt,
        originals=originals,
    )


def carry_out(context: Context, limits: Limits) -> Replacement:
    """Return the replacement that the ladder comes to, with extractive summaries; each tier that misses is left out.

    Raises:
        FloorError: if what must be kept verbatim is larger than the ceiling, or is all there is.
    """
    missed: list[Tier] = []
    while True:
        decision = choose(context, limits, without=missed)
        summary = extract_for(context, decision) if isinstance(decision, SummarizeSpan) else None
        replacement = replace(context, decision, summary=summary)
        if replacement is not None:
            return replacement
        if tier_of(decision) == "truncate":
            size = context.tokens.upper
            target = limits_asked(limits, context.requested).target
            raise FloorError(floor_tokens=size, budget_tokens=min(target, size - 1))
        missed.append(tier_of(decision))


def extract_for(context: Context, decision: SummarizeSpan) -> Summary:
    """Return the extractive summary that *decision* asks for."""
    covered = set(decision.covers)
    fields = extract_summary(
        [entry for entry in context.entries if entry.item.id in covered],
        previous=context.summary,
        budget_tokens=decision.budget_tokens,
        item_id=decision.summary_id,
        encoding=vocabulary(context.encoding),
    )
    return Summary(fields=fields, summarizer="extractive")


def _check(*, budget_tokens: object, policy: object, form: object) -> None:
    if policy not in PRESETS:
        raise InputError(f"expected a policy among {', '.join(PRESETS)}, got {policy!r}")
    if not isinstance(budget_tokens, int) or isinstance(budget_tokens, bool):
        raise InputError(f"expected a whole number of tokens as the budget, got {type(budget_tokens).__name__}")
    if budget_tokens < 1:
        raise InputError(f"expected a budget of at least 1 token, got {budget_tokens}")
    if form is not None and form not in get_args(Form):
        raise InputError(f"expected a form among {', '.join(get_args(Form))}, got {form!r}")


def _listed(messages: object) -> list[Mapping[str, Any]]:
    """Return *messages* as a list: an iterator is read once, and they are needed thrice."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise InputError(f"expected an iterable of messages, got {kind_of(messages)}")
    return list(messages)


def _context(items: Sequence[Item], budget_tokens: int, encoding: str) -> Context:
    counting = vocabulary(encoding)
    numbered = [structs.replace(item, id=f"i{number}") for number, item in enumerate(items, start=1)]
    found = {item.id: summary for item in numbered if (summary := read_summary(item)) is not None}
    entries = tuple(
        Entry(item=item, tokens=count_item(item, counting), seq=seq, form="summary" if item.id in found else "whole")
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
        summary=_joined([fields for _, fields in found.values()]),
    )


def _joined(summaries: Iterable[Sequence[SummaryField]]) -> tuple[SummaryField, ...]:
    """Return the fields of several summaries, oldest first, as one summary's, each line once."""
    lines: dict[str, dict[str, None]] = {}
    for fields in summaries:
        for field in fields:
            lines.setdefault(field.name, {}).update(dict.fromkeys(field.lines))
    return tuple(SummaryField(name=name, lines=tuple(held)) for name, held in lines.items())


def _messages(
    entries: Sequence[Entry],
    messages: Sequence[Mapping[str, Any]],
    sources: Sequence[Sequence[Item]],
    form: Form,
) -> list[dict[str, Any]]:
    """Return the messages of *entries*: the given one where all its items are unchanged, rendered anew elsewhere."""
    first_of, number = {}, 1
    for at, source in enumerate(sources):
        first_of[f"i{number}"] = at
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
