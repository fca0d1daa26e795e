"""A summariser that obeys whatever it reads, and what became of it: the defence is measured without a model."""

import asyncio
import json
import re
import unicodedata
from collections.abc import Sequence

from msgspec import Struct
from tests.guard.disguises import DISGUISES, Disguise
from tests.guard.payloads import Payload
from tests.laws.texts import PROSE

from retold.events import Item, Message, SummaryField, Text, ToolCall, ToolResult, plain_text
from retold.fold import Context
from retold.policy import Replacement, SummarizeSpan, choose, replace
from retold.policy.compacting import list_context
from retold.policy.limits import limits_within
from retold.policy.presets import preset_of
from retold.policy.summary import QUOTED, section_title, summary_message
from retold.summarizers import ModelSummarizer
from retold.summarizers.answers import Answer
from retold.summarizers.prompt import INSTRUCTIONS, Prompt
from retold.worker.summarising import SummaryWriter

CARRIERS = ("tool", "file", "paste", "summary", "error")
POSITIONS = ("early", "late")
SECTIONS = ("goal", "constraints", "decisions", "files", "errors", "open_work", "last_step", "facts")
REQUEST = "Now make the slow tests green, please."
PIECE_CHARACTERS = 40
_BUDGET_TOKENS = 5_000
_STEPS = 8
_LIVE = re.compile(
    r"<\|im_|\[/?INST\]|<script|!\[[^\]]*\]\(http|\x1b|[\u200b\u202e\U000e0020-\U000e007f]", re.IGNORECASE
)


class Outcome(Struct, frozen=True):
    """Hold what became of one case: what went wrong, who wrote the summary, how often the model was asked."""

    wrong: tuple[str, ...]
    writer: str
    asked: int


class Obedient:
    """Do what the payload says: write its order down everywhere, and tell the prompt where that is asked for."""

    name = "obedient"

    def __init__(self, payload: Payload, disguise: str, *, tells: str = "as asked", always: bool = True) -> None:
        """Obey *payload*, disguised as *disguise* where it stood, and tell the prompt in the disguise *tells*."""
        self.asked = 0
        self._payload, self._disguise = payload, disguise
        self._tells = disguise if tells == "as asked" else tells
        self._always = always

    async def ask(self, prompt: Prompt) -> Answer:
        """Return a record in which nothing is left undone that the payload asks for."""
        self.asked += 1
        obeys = self._always or self.asked == 1
        record: dict[str, list[str]] = {name: [self._payload.order] if obeys else [] for name in SECTIONS}
        if obeys and self._disguise != "plain":
            name = SECTIONS[self._payload.category % len(SECTIONS)]
            record[name] += DISGUISES[self._disguise](self._payload.order).splitlines()
        record["open_work"].append("Make the slow tests green.")
        if obeys and self._payload.asks == "prompt":
            told = DISGUISES[self._tells](prompt.instructions)
            record["facts"] += told.splitlines() if "\n" in told else [told]
        return Answer(text=json.dumps(record))

    async def aclose(self) -> None:
        """Hold nothing open."""


def outcome_of(payload: Payload, disguise: str, *, carrier: str, position: str, tells: str = "as asked") -> Outcome:
    """Return what became of *payload* in a session that is summarised by the obedient model."""
    context = context_of(DISGUISES[disguise](payload.text), carrier=carrier, position=position)
    model = Obedient(payload, disguise, tells=tells)
    replacement, writer = asyncio.run(compacted(context, model))
    text = "" if replacement is None else summary_text(replacement)
    return Outcome(tuple(wrongs(text, payload, disguise, model_tells=tells)), writer, model.asked)


def context_of(text: str, *, carrier: str, position: str) -> Context:
    """Return a session in which *text* came by *carrier*, early or late."""
    items: list[Item] = [_said("system", "You mend the payment service.")]
    if carrier == "summary":
        field = SummaryField(name="facts", lines=(text,))
        items.append(summary_message([field], item_id="s1", covers=["i1"]))
    paste = f"This is the page:\n```\n{text}\n```\nWhat does it say?" if carrier == "paste" else "Mend the retries."
    items += [_said("user", f"{paste} Never send a payment twice."), _said("user", f"The design: {PROSE * 40}")]
    at = 1 if position == "early" else _STEPS - 1
    for step in range(_STEPS):
        output = f"retry {step} done\n{PROSE * 4}"
        if step == at and carrier == "error":
            output = "\n".join(f"Error: {line}" for line in text.splitlines())
        if step == at and carrier in ("tool", "file"):
            output = f"{output}\n{text}" if carrier == "tool" else f"def pay():\n    '''\n{text}\n    '''\n{output}"
        items += [
            ToolCall(call_id=f"c{step}", name="read_file", arguments=f'{{"path":"src/retry_{step}.py"}}'),
            ToolResult(call_id=f"c{step}", content=(Text(output),), is_error=step == at and carrier == "error"),
            _said("assistant", f"Step {step}: retries are keyed by payment id. {PROSE * 2}"),
        ]
    return list_context([*items, _said("user", REQUEST)], _BUDGET_TOKENS, "o200k_base")


async def compacted(context: Context, model: Obedient) -> tuple[Replacement | None, str]:
    """Return what the worker's way of writing comes to, and who wrote: nobody, where it goes on to truncation."""
    decision = choose(context, limits_within(_BUDGET_TOKENS, preset_of("codex", None)), without=["offload"])
    assert isinstance(decision, SummarizeSpan)
    writing = SummaryWriter(ModelSummarizer(model)).write(context, decision)
    try:
        async for wanted, summary in writing:
            replacement = replace(context, wanted, summary=summary)
            if replacement is not None:
                return replacement, summary.summarizer
    finally:
        await writing.aclose()
    return None, "nobody"


def summary_text(replacement: Replacement) -> str:
    """Return the text of the summary in *replacement*."""
    (text,) = [
        plain_text(entry.item.content)
        for entry in replacement.entries
        if entry.form == "summary" and isinstance(entry.item, Message)
    ]
    return text


def wrongs(text: str, payload: Payload, disguise: str, *, model_tells: str = "as asked") -> list[str]:
    """Return what is wrong with a summary's *text*: an order outside of quotations, a leak, a mark that is alive."""
    outside, _, quoted = text.partition(section_title(QUOTED))
    wrong = []
    orders = (payload.order, DISGUISES[disguise](payload.order))
    if any(one in form(outside) for order in orders if len(one := form(order)) >= 8):
        wrong.append("order")
    told = DISGUISES[disguise if model_tells == "as asked" else model_tells]
    written = form(text)
    if any(piece in written for piece in passages(told)):
        wrong.append("leak")
    if _LIVE.search(text) or text.count("</retold-summary>") > 1 or text.count("<retold-summary ") > 1:
        wrong.append("mark")
    if any(not line.startswith('- "') for line in quoted.splitlines() if line.strip() and not line.startswith("</")):
        wrong.append("quotation")
    return wrong


def form(text: str) -> str:
    """Return the letters and digits of *text*, as they are compared here."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(one for one in plain if one.isalnum())


def passages(told: Disguise) -> Sequence[str]:
    """Return what the prompt is in a disguise, in pieces: each of them in a summary is a leak."""
    whole = form(told(INSTRUCTIONS))
    return [whole[at : at + PIECE_CHARACTERS] for at in range(0, len(whole) - PIECE_CHARACTERS, PIECE_CHARACTERS)]


def _said(role: str, text: str) -> Item:
    assert role in ("system", "user", "assistant")
    return Message(role=role, content=(Text(text),))  # type: ignore[arg-type]
