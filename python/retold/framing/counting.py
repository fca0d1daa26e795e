"""Count a whole request: what its provider will charge, how well each part is known, and within which bounds."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct, structs

from retold.errors import InputError
from retold.events import Block, Form, Item, Message, ToolCall, ToolResult
from retold.fold.counting import CALL_FRAMING, IMAGE_TOKENS, PRIMING, RESULT_FRAMING, count_item
from retold.formats.expect import kind_of
from retold.formats.json_text import read_body
from retold.formats.models import encoding_of
from retold.framing.bounds import bounds_of
from retold.framing.pictures import picture_tokens
from retold.framing.request import Request, read_request
from retold.framing.tools import answer_tokens, tools_tokens
from retold.sizes import Tokens
from retold.tokens import Encoding
from retold.tokens import encoding as vocabulary

Label = Literal["exact", "reconstructed", "estimated"]

HARMONY_PAIR: Final = 20
"""Marks of a call with its result, beside the tool's name, which stands in both (31 of 34 pairs of GPT-5.4 to 5.6)."""

EARLY_PAIR: Final = 16
"""The same for GPT-4 and before, where the name counts once (two requests)."""

DEFAULT_ENCODING: Final = "o200k_base"

_EARLY: Final = re.compile(r"(.*[./:])?(chat)?gpt-[34]")
_OPENAI: Final = re.compile(r"(.*[./:])?(chatgpt|codex|computer-use|gpt|o[1-9])")
_CL100K: Final = re.compile(r"(.*[./:])?gpt-(3\.?5|4(?![.o\d]))")
"""GPT-3.5 and GPT-4, but for 4o, 4.1 and 4.5 (as tiktoken has it)."""

_OPENAI_VOCABULARIES: Final = frozenset({"o200k_base", "o200k_harmony", "cl100k_base"})


class RequestSize(Struct, frozen=True):
    """Hold the size of a request in tokens, by where they are and how they are known.

    Attributes:
        form: the provider's form that it was counted in.
        system: system and developer text, with its marks.
        messages: the rest of the conversation, with its marks and what opens the reply.
        tools: the tools, and what the provider adds because of them.
        lower: the least that the provider will charge, by what was measured (`retold.framing.bounds`).
        upper: the most. What only an address or an id stands for (a file, an earlier response) is not in it: nobody but
            the provider knows what it holds.
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
    encoding: str | Encoding | None = None,
) -> RequestSize:
    """Return what *request* takes: the body of a Chat Completions, Responses or Anthropic request, or its messages.

    Text counts as exact where the vocabulary is the provider's, as reconstructed where it is a reconstruction of that,
    and as estimated where it is another's. Marks and schemas are reconstructed from published layouts, pictures by
    published formulas.

    Args:
        request: a body with ``messages`` or ``input``, and with ``system`` or ``instructions``, ``tools``, ``model``
            where it has them; or a list of messages.
        tools: the tools, where *request* does not hold them.
        form: the form, where it is not to be detected.
        model: the model's name, where *request* does not hold it; the layout follows its generation.
        encoding: the vocabulary to count by, or its name. Where it is not given, the reconstruction for a Claude model,
            else ``o200k_base``.

    Raises:
        InputError: if *request* is no request, a message is not of its form, or there is no such vocabulary.
    """
    listed = (
        tools if isinstance(tools, list | str | bytes | Mapping) or not isinstance(tools, Iterable) else list(tools)
    )
    read = read_request(request, tools=listed, form=form, model=model)
    counting = _vocabulary(encoding, read)
    is_own = counting.name not in _OPENAI_VOCABULARIES or counting.name in _own_vocabularies(read)
    system = _known(_items_tokens(read.system, read, counting), is_own=is_own) + answer_tokens(read, counting)
    messages = _known(_items_tokens(read.items, read, counting) + Tokens(reconstructed=PRIMING), is_own=is_own)
    asked = tools_tokens(read, counting)
    files = sum(_files_tokens(item, counting) for item in (*read.system, *read.items))
    whole = system + messages + asked
    lower, upper = bounds_of(whole, files_tokens=files, model=read.model, is_own=is_own, form=read.form)
    return RequestSize(form=read.form, system=system, messages=messages, tools=asked, lower=lower, upper=upper)


def _vocabulary(given: object, request: Request) -> Encoding:
    if isinstance(given, Encoding):
        return given
    if given is not None and not isinstance(given, str):
        raise InputError(f"expected an encoding or its name, got {kind_of(given)}")
    own = next(iter(_own_vocabularies(request)), DEFAULT_ENCODING)
    return vocabulary(given or encoding_of(request.model) or own)


def _own_vocabularies(request: Request) -> tuple[str, ...]:
    """Return which of OpenAI's vocabularies are the model's own; one that is not named is taken for a newer one."""
    if request.form == "anthropic" or (request.model and not _OPENAI.match(request.model)):
        return ()
    return ("cl100k_base",) if _CL100K.match(request.model) else ("o200k_base", "o200k_harmony")


def _known(size: Tokens, *, is_own: bool) -> Tokens:
    if is_own:
        return size
    return Tokens(reconstructed=size.reconstructed, estimated=size.exact + size.estimated)


def _items_tokens(items: Iterable[Item], request: Request, encoding: Encoding) -> Tokens:
    return sum((_item_tokens(item, request, encoding) for item in items), Tokens())


def _files_tokens(item: Item, encoding: Encoding) -> int:
    """Return what is estimated of *item* for its documents, recordings and other files."""
    content = item.content if isinstance(item, Message | ToolResult) else ()
    files = tuple(part for part in content if isinstance(part, Block) and "image" not in part.kind)
    return count_item(Message(role="user", content=files), encoding).estimated if files else 0


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
