"""Count a whole request: what its provider will charge, how well each part is known, and within which bounds."""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

from msgspec import Struct, structs

from retold.events import Block, Form, Item, Message, ToolCall, ToolResult
from retold.fold.counting import CALL_FRAMING, IMAGE_TOKENS, PRIMING, RESULT_FRAMING, count_item
from retold.formats.json_text import read_body
from retold.framing.bounds import bounds_of
from retold.framing.pictures import picture_tokens
from retold.framing.request import Request, read_request
from retold.framing.tools import tools_tokens
from retold.sizes import Tokens
from retold.tokens import Encoding
from retold.tokens import encoding as vocabulary

Label = Literal["exact", "reconstructed", "estimated"]

HARMONY_PAIR: Final = 20
"""Marks of a call with its result, beside the tool's name, which stands in both (31 of 34 pairs of GPT-5.4 to 5.6)."""

EARLY_PAIR: Final = 16
"""The same for GPT-4 and before, where the name counts once (two requests)."""

_EARLY: Final = re.compile(r"(.*[./])?(chat)?gpt-[34]")
_OPENAI: Final = re.compile(r"(.*[./])?(chatgpt|codex|computer-use|gpt|o[1-9])")
_OPENAI_VOCABULARIES: Final = frozenset({"o200k_base", "o200k_harmony", "cl100k_base"})


class RequestSize(Struct, frozen=True):
    """Hold the size of a request in tokens, by where they are and how they are known.

    Attributes:
        form: the provider's form that it was counted in.
        system: system and developer text, with its marks.
        messages: the rest of the conversation, with its marks and what opens the reply.
        tools: the tools, and what the provider adds because of them.
        lower: the least that the provider will charge, by what was measured (`retold.framing.bounds`).
        upper: the most.
    """

    form: Form
    system: Tokens
    messages: Tokens
    tools: Tokens
    lower: int
    upper: int

    @property
    def counted(self) -> Tokens:
        """Return the whole size by how it is known."""
        return self.system + self.messages + self.tools

    @property
    def tokens(self) -> int:
        """Return the best single figure."""
        return self.counted.total

    @property
    def label(self) -> Label:
        """Return how the weakest part is known: "exact", "reconstructed" or "estimated"."""
        counted = self.counted
        return "estimated" if counted.estimated else "reconstructed" if counted.reconstructed else "exact"


def count_request(
    request: Any,
    *,
    tools: Iterable[Any] | None = None,
    form: Form | None = None,
    model: str = "",
    encoding: str | Encoding = "o200k_base",
) -> RequestSize:
    """Return what *request* takes: the body of a Chat Completions, Responses or Anthropic request, or its messages.

    Text counts as exact where the vocabulary is the provider's, and as estimated where it is another's: Anthropic's
    models have their own. Marks and schemas are reconstructed from published layouts, pictures by published formulas.

    Args:
        request: a body with ``messages`` or ``input``, and with ``system`` or ``instructions``, ``tools``, ``model``
            where it has them; or a list of messages.
        tools: the tools, where *request* does not hold them.
        form: the form, where it is not to be detected.
        model: the model's name, where *request* does not hold it; the layout follows its generation.
        encoding: the vocabulary to count by, or its name.

    Raises:
        InputError: if *request* is no request, a message is not of its form, or there is no such vocabulary.
    """
    listed = None if tools is None else tools if isinstance(tools, list | tuple | str) else list(tools)
    read = read_request(request, tools=listed, form=form, model=model)
    counting = vocabulary(encoding) if isinstance(encoding, str) else encoding
    is_own = counting.name not in _OPENAI_VOCABULARIES or _is_openai(read)
    system = _known(_items_tokens(read.system, read, counting), is_own=is_own)
    messages = _known(_items_tokens(read.items, read, counting) + Tokens(reconstructed=PRIMING), is_own=is_own)
    asked = tools_tokens(read, counting)
    lower, upper = bounds_of(system + messages + asked, model=read.model, is_own=is_own, form=read.form)
    return RequestSize(form=read.form, system=system, messages=messages, tools=asked, lower=lower, upper=upper)


def _is_openai(request: Request) -> bool:
    """Return whether OpenAI's vocabularies are the model's own; one that is not named is taken for theirs."""
    return request.form != "anthropic" and (not request.model or _OPENAI.match(request.model) is not None)


def _known(size: Tokens, *, is_own: bool) -> Tokens:
    if is_own:
        return size
    return Tokens(reconstructed=size.reconstructed, estimated=size.exact + size.estimated)


def _items_tokens(items: Iterable[Item], request: Request, encoding: Encoding) -> Tokens:
    return sum((_item_tokens(item, request, encoding) for item in items), Tokens())


def _item_tokens(item: Item, request: Request, encoding: Encoding) -> Tokens:
    """Return what *item* takes in this request: the ledger's count, with what the ledger leaves open filled in."""
    size = count_item(item, encoding)
    if isinstance(item, ToolCall) and request.form != "anthropic":
        framing = size.reconstructed + _pair_rest(item, request.model, encoding)
        return structs.replace(size, reconstructed=framing)
    if isinstance(item, Message | ToolResult):
        pictures = [part for part in item.content if isinstance(part, Block) and "image" in part.kind]
        rest = sum(picture_tokens(read_body(part.body), part.form) - IMAGE_TOKENS for part in pictures)
        return structs.replace(size, estimated=size.estimated + rest)
    return size


def _pair_rest(call: ToolCall, model: str, encoding: Encoding) -> int:
    """Return what a call and its result take beyond the marks that the ledger counts for them."""
    if _EARLY.match(model):
        return EARLY_PAIR - CALL_FRAMING - RESULT_FRAMING
    return HARMONY_PAIR + encoding.count(call.name) - CALL_FRAMING - RESULT_FRAMING
