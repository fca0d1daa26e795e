"""What of a conversation a model is shown: all that is covered, and where that is too much, its newer half.

What is not shown is not lost: it goes into the record that the model builds on, by extraction. The user's latest
request is always shown, and no half is tried twice: a few calls reach a model that takes an eighth.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from retold.events import Block, Message, Reasoning, SummaryField, ToolCall, ToolResult, plain_text
from retold.fold import Context, Entry, count_item
from retold.policy import SummarizeSpan, extract_for
from retold.policy.bonds import latest_user, pair_of
from retold.policy.cutting import cut_middle
from retold.policy.extract import extract_summary
from retold.policy.fitting import within_budget
from retold.policy.summary import summary_message
from retold.summarizers.prompt import Prompt, Shown, line_of, write_prompt
from retold.tokens import Encoding, encoding

ENTRY_TOKENS_MAX = 4_000
"""Of one entry, this much is shown, its head and its tail: of a log of 50,000 tokens, what matters is mostly there."""

REQUEST_TOKENS_MAX = 4_000
"""Of the user's latest request, as much: it stays in the agent's view whole."""

COMPUTED_SHARE = 2
"""What is computed takes at most one part in so many of the budget; the rest is the model's."""

COMPUTED_ROOM_TOKENS = 1_000_000
"""They are found without a limit first, or other sections would take their room."""

COMPUTED = ("constraints", "files")
"""The fields that are computed from the log, whatever a model writes."""

CHOSEN = ("requests", "identifiers")
"""The fields that are computed and that no model is asked for, as extraction chooses them within the budget."""

_CUT = "[…]"


class Showing(Struct, frozen=True):
    """Hold what a model is shown of one span, and what is known without it.

    Attributes:
        context: the state that the span is of.
        decision: which entries the summary is to stand for.
        covered: these entries, without the summary before.
        record: what the model builds on: the summary before, and what is not shown.
        shown: the entries that are shown.
        computed: the rules, files, identifiers and earlier requests, within their share of the budget.
        budget_tokens: what the model's own lines may take.
    """

    context: Context
    decision: SummarizeSpan
    covered: tuple[Entry, ...]
    record: tuple[SummaryField, ...]
    shown: tuple[Shown, ...]
    computed: tuple[SummaryField, ...]
    budget_tokens: int

    @property
    def vocabulary(self) -> Encoding:
        """Return the vocabulary that the session is counted by."""
        return encoding(self.context.encoding)

    def prompt(self, why: str | None = None) -> Prompt:
        """Return the request; *why* the answer before was rejected, if it was: then for a shorter one."""
        budget = self.budget_tokens if why is None else self.budget_tokens * 2 // 3
        request = _latest_request(self.context, self.vocabulary)
        return write_prompt(self.record, self.shown, request=request, budget_tokens=budget, why=why)

    def size(self, fields: Sequence[SummaryField]) -> int:
        """Return what the summary of *fields* takes as an entry, in tokens."""
        decision = self.decision
        message = summary_message(fields, item_id=decision.summary_id, covers=decision.covers)
        return count_item(message, self.vocabulary).upper

    def half(self) -> "Showing | None":
        """Return the same with the newer half of what is shown, by tokens; None where nothing is left to leave out.

        Where one entry is more than half of it, that entry loses its middle.
        """
        costs = [self.vocabulary.count(line_of(one)) for one in self.shown]
        kept, left = len(costs), sum(costs) // 2
        while kept > 0 and costs[kept - 1] <= left:
            kept -= 1
            left -= costs[kept]
        if kept == len(costs):
            return self._with_last_cut(left) if costs else None
        dropped = {one.id for one in self.shown[:kept]}
        record = _extracted(self, [entry for entry in self.covered if entry.item.id in dropped])
        return structs.replace(self, record=record, shown=self.shown[kept:])

    def _with_last_cut(self, length_tokens: int) -> "Showing | None":
        last = self.shown[-1]
        text = cut_middle(last.text, length_tokens=length_tokens, mark=_CUT, vocabulary=self.vocabulary)
        if text == last.text:
            return None
        dropped = {one.id for one in self.shown[:-1]}
        record = _extracted(self, [entry for entry in self.covered if entry.item.id in dropped])
        return structs.replace(self, record=record, shown=(structs.replace(last, text=text),))


def show(context: Context, decision: SummarizeSpan) -> Showing:
    """Return all that *decision* covers, as it is first shown."""
    covers, vocabulary = set(decision.covers), encoding(context.encoding)
    covered = tuple(entry for entry in context.entries if entry.item.id in covers and entry.form != "summary")
    names = _names(context.entries)
    texts = ((entry, _shown_text(entry)) for entry in covered)
    shown = tuple(_shown(entry, text, names, vocabulary) for entry, text in texts if text)
    whole = Showing(
        context=context,
        decision=decision,
        covered=covered,
        record=context.summary,
        shown=shown,
        computed=(),
        budget_tokens=decision.budget_tokens,
    )
    every = _extracted(whole, covered, budget_tokens=COMPUTED_ROOM_TOKENS)
    found = [field for field in every if field.name in COMPUTED]
    found += [field for field in extract_for(context, decision).fields if field.name in CHOSEN]
    computed = _within(whole, found, decision.budget_tokens // COMPUTED_SHARE)
    left = decision.budget_tokens - whole.size(computed)
    return structs.replace(whole, computed=computed, budget_tokens=max(0, left))


def _extracted(showing: Showing, entries: Sequence[Entry], *, budget_tokens: int = 0) -> tuple[SummaryField, ...]:
    """Return what extraction finds in *entries*, built on the record so far; 0 is the summary's own budget."""
    return extract_summary(
        entries,
        previous=showing.record,
        budget_tokens=budget_tokens or showing.decision.budget_tokens,
        item_id=showing.decision.summary_id,
        encoding=showing.vocabulary,
    )


def _within(showing: Showing, fields: Sequence[SummaryField], budget_tokens: int) -> tuple[SummaryField, ...]:
    decision = showing.decision
    return within_budget(
        fields,
        budget_tokens=budget_tokens,
        encoding=showing.vocabulary,
        item_id=decision.summary_id,
        covers=decision.covers,
    )


def _latest_request(context: Context, vocabulary: Encoding) -> str:
    at = latest_user(context.entries)
    text = "" if at is None else _shown_text(context.entries[at])
    return cut_middle(text, length_tokens=REQUEST_TOKENS_MAX, mark=_CUT, vocabulary=vocabulary)


def _names(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the tool's name for each call and result, by the entry's id."""
    names: dict[str, str] = {}
    partner = pair_of(entries)
    for at, entry in enumerate(entries):
        if isinstance(entry.item, ToolCall):
            names[entry.item.id] = entry.item.name
            if at in partner:
                names[entries[partner[at]].item.id] = entry.item.name
    return names


def _shown(entry: Entry, text: str, names: dict[str, str], vocabulary: Encoding) -> Shown:
    cut = cut_middle(text, length_tokens=ENTRY_TOKENS_MAX, mark=_CUT, vocabulary=vocabulary)
    return Shown(id=entry.item.id, by=_speaker(entry), text=cut, tool=names.get(entry.item.id, ""))


def _speaker(entry: Entry) -> str:
    match entry.item:
        case Message():
            return entry.item.role
        case ToolCall():
            return "call"
        case ToolResult():
            return "failed result" if entry.item.is_error else "result"
        case _:
            return "reasoning"


def _shown_text(entry: Entry) -> str:
    """Return what can be read of an entry; other parts are named by their kind, a provider's block is not shown."""
    match entry.item:
        case Message() | ToolResult():
            other = [f"[{part.kind}]" for part in entry.item.content if isinstance(part, Block)]
            return "\n".join([plain_text(entry.item.content), *other]).strip()
        case ToolCall():
            return entry.item.arguments
        case Reasoning():
            return entry.item.text.strip()
        case _:
            return ""
