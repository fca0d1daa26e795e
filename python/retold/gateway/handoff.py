"""What a conversation becomes when an agent asks for its compaction: what stays, and what a summary stands for.

Rules:
- What the user said stays, newest first within `USER_TOKENS`; the message that crosses this is cut in its middle and
  marked, older ones are the summary's. System and developer text stays word for word.
- What an agent itself wrote as the user's (its environment, project rules) stays, the newest of each kind: agents write
  it again and again, and it says what is so now.
- Everything else, calls and results, reasoning, answers, an earlier summary, is what the summary stands for. So nothing
  is left that a provider would find a partner missing of.

Pure: values to values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from retold.events import Item, Message, Text, plain_text
from retold.fold import Context, Entry, item_text
from retold.formats import render, to_items
from retold.formats.codex import injected_kind
from retold.policy import SummarizeSpan, Summary
from retold.policy.compacting import list_context
from retold.policy.cutting import cut_middle
from retold.policy.summary import summary_message
from retold.security import SealedSummary, source_hash
from retold.tokens import encoding as vocabulary

USER_TOKENS: Final = 20_000
"""What stays of the user's messages: Codex's figure."""

SUMMARY_TOKENS_MAX: Final = 4_000
SUMMARY_TOKENS_MIN: Final = 400
"""A summary may take as much as what it stands for, within these: the frame alone takes about 80."""

CUT_TOKENS_MIN: Final = 50
"""With less room than this, the message that crosses the budget is left to the summary."""


CODEX_SUMMARY: Final = "Another language model started to solve this problem and produced a summary"
"""How the message begins in which Codex keeps a summary that it asked a model for."""
SUMMARY_START: Final = "<retold-summary "


class Handoff(Struct, frozen=True):
    """Hold one compaction as it is planned.

    Attributes:
        context: the conversation.
        decision: which entries the summary stands for.
        kept: what stays, in order.
    """

    context: Context
    decision: SummarizeSpan
    kept: tuple[Item, ...]


def plan_handoff(items: Sequence[Item], *, encoding: str) -> Handoff:
    """Return what the conversation *items* becomes, counted by *encoding*. O(bytes)."""
    context = list_context([earlier_summary(item) for item in items], 1, encoding)
    kept = _kept(context)
    covers = tuple(entry.item.id for entry in context.entries if entry.item.id not in kept)
    covered = sum(entry.tokens.upper for entry in context.entries if entry.item.id not in kept)
    decision = SummarizeSpan(
        covers=covers,
        body=(),
        summary_id=f"s{context.version + 1}",
        budget_tokens=max(SUMMARY_TOKENS_MIN, min(SUMMARY_TOKENS_MAX, covered)),
        target_tokens=context.tokens.upper,
    )
    stays = tuple(kept[entry.item.id] for entry in context.entries if entry.item.id in kept)
    return Handoff(context=context, decision=decision, kept=stays)


def earlier_summary(item: Item) -> Item:
    """Return *item*, or, where Codex put a summary into it, that summary: ours as it was written, another as data."""
    text = plain_text(item.content) if isinstance(item, Message) and item.role == "user" else ""
    if not text.startswith(CODEX_SUMMARY):
        return item
    at = text.find(SUMMARY_START)
    if at >= 0:
        return Message(role="user", content=(Text(text[at:]),))
    return Message(role="assistant", content=(Text(text.partition("\n")[2]),))


def _kept(context: Context) -> dict[str, Item]:
    """Return what stays, by the entry's id."""
    kept: dict[str, Item] = {}
    kinds: set[str] = set()
    left = USER_TOKENS
    for entry in reversed(context.entries):
        item = entry.item
        if not isinstance(item, Message) or item.role == "assistant" or entry.form != "whole":
            continue
        if item.role in ("system", "developer"):
            kept[item.id] = item
        elif kind := injected_kind(item):
            if kind not in kinds:
                kinds.add(kind)
                kept[item.id] = item
        elif left > 0:
            shorter = item if entry.tokens.upper <= left else _cut(entry, left, context.encoding)
            left -= entry.tokens.upper
            if shorter is not None:
                kept[item.id] = shorter
    return kept


def _cut(entry: Entry, tokens: int, encoding: str) -> Item | None:
    item = entry.item
    assert isinstance(item, Message)
    length = tokens - CUT_TOKENS_MIN
    if length < CUT_TOKENS_MIN:
        return None
    mark = f"[Retold: cut here, {entry.tokens.total} tokens in all]"
    text = cut_middle(plain_text(item.content), length_tokens=length, mark=mark, vocabulary=vocabulary(encoding))
    return replace(item, content=(Text(text),), extra=None) if text else None


def sealed_form(handoff: Handoff, summary: Summary) -> SealedSummary:
    """Return what is to be sealed: the words for the model, the fields, and the hash of what they stand for."""
    decision, covers = handoff.decision, set(handoff.decision.covers)
    said = summary_message(summary.fields, item_id=decision.summary_id, covers=())
    texts = [item_text(entry.item) for entry in handoff.context.entries if entry.item.id in covers]
    return SealedSummary(
        text=plain_text(said.content), source=source_hash(texts), fields=summary.fields, covers=decision.covers
    )


def kept_messages(handoff: Handoff, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what stays as Responses items: the one of *messages* that it came as, rendered anew where it was cut."""
    came: dict[str, Mapping[str, Any]] = {}
    number = 0
    for message in messages:
        read = to_items(message, form="responses")
        came |= dict.fromkeys((handoff.context.entries[number + at].item.id for at in range(len(read))), message)
        number += len(read)
    whole = {entry.item.id: entry.item for entry in handoff.context.entries}
    out: list[dict[str, Any]] = []
    for item in handoff.kept:
        out += [dict(came[item.id])] if whole[item.id] == item else render((item,), "responses")
    return out


def usage_tokens(handoff: Handoff, sealed: SealedSummary) -> tuple[int, int]:
    """Return what the compaction read and wrote, in tokens by our count."""
    return handoff.context.tokens.upper, vocabulary(handoff.context.encoding).count(sealed.text)
