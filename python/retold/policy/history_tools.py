"""The tools by which a model manages its own history: their schemas in each form, and their arguments read. Pure.

Arguments are a model's: what is wrong with them is said so that it can mend the call, by path and kind, never quoted.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from retold.errors import InputError
from retold.events import Form, ToolCall
from retold.policy.compressing import Range

COMPRESS: Final = "compress_history"
SHOW: Final = "show_history"
DECOMPRESS: Final = "decompress_history"
RESTORE: Final = "restore_item"
TOOLS: Final = (SHOW, COMPRESS, DECOMPRESS, RESTORE)
"""The tools by name."""

_ID: Final[Mapping[str, Any]] = {"type": "string", "description": "An id as show_history has it, such as i12."}

_MESSAGES: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "What stands in the place of these entries from now on, in the language of the conversation.",
}


class _Tool(Struct, frozen=True):
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...] = ()


_SCHEMAS: Final[Mapping[str, _Tool]] = {
    SHOW: _Tool(
        description="List the entries of your history: id, kind, tokens, beginning. Without arguments all of them, "
        "small ones summed up where there are many; with first and last that part in full.",
        properties={"first": _ID, "last": _ID},
    ),
    COMPRESS: _Tool(
        description="Shorten your history: each range of entries (both ends included) becomes one block with the "
        "messages that you write. All ranges are done, or none. Calls stay with their results; the originals can be "
        "had back.",
        properties={
            "ranges": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"first": _ID, "last": _ID, "messages": _MESSAGES},
                    "required": ["first", "last", "messages"],
                    "additionalProperties": False,
                },
            },
            "dry_run": {"type": "boolean", "description": "Only tell what it would free."},
        },
        required=("ranges",),
    ),
    DECOMPRESS: _Tool(
        description="Bring back what a compressed block stands for, word for word, in its place; with item, only that "
        "entry and what belongs to it, behind the block.",
        properties={"block": {"type": "string", "description": "The block's id, such as c40."}, "item": _ID},
        required=("block",),
    ),
    RESTORE: _Tool(
        description="Bring back one entry word for word: an offloaded one in its place, one of a compressed block "
        "behind the block.",
        properties={"item": _ID},
        required=("item",),
    ),
}


class ShowHistory(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for the entries from *first* to *last*; None is the start or the end."""

    first: str | None = None
    last: str | None = None


class CompressHistory(Struct, frozen=True):
    """Ask for *ranges* to be compressed; a dry run only tells what it would free."""

    ranges: tuple[Range, ...]
    dry_run: bool = False


class DecompressHistory(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for the originals of *block* back, or only for *item* with what belongs to it."""

    block: str
    item: str | None = None


class RestoreItem(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for the original of *item* back."""

    item: str


_Kind = TypeVar("_Kind")

Asked = ShowHistory | CompressHistory | DecompressHistory | RestoreItem


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    content: str
    role: Literal["compressed", "user", "assistant", "tool"] = "compressed"


class _Range(Struct, frozen=True, forbid_unknown_fields=True):
    first: str
    last: str
    messages: str | list[str | _Said]


class _Compress(Struct, frozen=True, forbid_unknown_fields=True):
    ranges: list[_Range]
    dry_run: bool = False


_MISFIT = re.compile(r"Expected `([^`]+)`, got `([^`]+)`|Object missing required field `(\w+)`")
_PATH = re.compile(r" - at `\$\.?([^`]*)`\Z")


def history_tools(form: Form) -> list[dict[str, Any]]:
    """Return the schemas of the tools, to be added to the `tools` of a request of *form*."""
    tools = []
    for name, made in _SCHEMAS.items():
        schema = {
            "type": "object",
            "properties": deepcopy(dict(made.properties)),
            "required": list(made.required),
            "additionalProperties": False,
        }
        tool: dict[str, Any] = {"name": name, "description": made.description}
        if form == "anthropic":
            tools.append({**tool, "input_schema": schema})
        elif form == "responses":
            tools.append({"type": "function", **tool, "parameters": schema, "strict": False})
        else:
            tools.append({"type": "function", "function": {**tool, "parameters": schema}})
    return tools


def read_ranges(ranges: object) -> tuple[Range, ...]:
    """Return the ranges that *ranges* asks for: mappings with `first`, `last` and `messages`, or `Range`.

    Messages are a text, or a list of texts and of objects with `content` and, to tell who said it, `role`.

    Raises:
        InputError: if one is of another shape; the text names its path.
    """
    if isinstance(ranges, str | bytes | Mapping) or not isinstance(ranges, Sequence):
        raise InputError(f"expected a list of ranges with first, last and messages, got {type(ranges).__name__}")
    found = [
        one if isinstance(one, Range) else _converted(one, _Range, at=f"ranges[{at}]") for at, one in enumerate(ranges)
    ]
    return tuple(one if isinstance(one, Range) else _range(one) for one in found)


def read_arguments(call: ToolCall) -> Asked:
    """Return what the model asks for in *call*, which is of one of `TOOLS`.

    Raises:
        InputError: if the arguments are not those of the tool; the text names the path of what is wrong.
    """
    try:
        told = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.MsgspecError, RecursionError):
        raise InputError("expected arguments that are a JSON object, got something else") from None
    match call.name:
        case "show_history":
            return _converted(told, ShowHistory)
        case "decompress_history":
            return _converted(told, DecompressHistory)
        case "restore_item":
            return _converted(told, RestoreItem)
        case _:
            asked = _converted(told, _Compress)
            return CompressHistory(ranges=tuple(map(_range, asked.ranges)), dry_run=asked.dry_run)


def _range(asked: _Range) -> Range:
    said = [asked.messages] if isinstance(asked.messages, str) else asked.messages
    return Range(first=asked.first, last=asked.last, messages=tuple(map(_text, said)))


def _text(said: str | _Said) -> str:
    """Return a message's text; who said it is told in words, for a block has one role."""
    if isinstance(said, str) or said.role == "compressed":
        return said if isinstance(said, str) else said.content
    return f"{said.role}: {said.content}"


def _converted(value: Any, kind: type[_Kind], *, at: str = "") -> _Kind:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        found, path = _MISFIT.search(str(error)), _PATH.search(str(error))
        where = ".".join(part for part in (at, "" if path is None else path[1]) if part) or "the arguments"
        if found is None:
            raise InputError(f"expected the tool's own fields and values at {where}, got others") from None
        expected, got, missing = found.groups()
        told = f"{expected}, got {got}" if missing is None else f"a field {missing!r}, got none"
        raise InputError(f"expected {told} at {where}") from None
