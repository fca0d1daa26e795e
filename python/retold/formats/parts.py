"""Content, both ways: the string or the list of parts that a message or a tool result holds.

The three forms write the same thing: a string, or a list whose parts have a `type`. A `Dialect` says how one of them
does. Which way a content was written, and the fields of text parts that have no place in `Text`, are its *shape*: it
is kept in the item's `extra` and only where it is not what would be written anyway. A shape is None (the default),
"string", "parts", "null", "absent", or a list with one object of left-over fields for each part.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from retold.events.items import Block, Form, Message, Part, Speaker, Text
from retold.formats.expect import as_object, leftover, read_string, wrong
from retold.formats.images import translate_image
from retold.formats.json_text import read_body, write_json


class Dialect(Struct, frozen=True):
    """Say how a form writes content.

    Attributes:
        form: the form.
        text: the `type` of a text part, as it is written.
        texts: every `type` that is read as text.
        plain: whether one lone text is written as a string rather than as a list of one part.
        images: whether images of other forms may stand in this content.
    """

    form: Form
    text: str
    texts: frozenset[str]
    plain: bool
    images: bool = True


Shape = str | list[dict[str, Any]] | None

_EMPTY: Final = {"null": None, "absent": None}


def read_content(raw: Any, dialect: Dialect, *, at: str) -> tuple[tuple[Part, ...], Shape]:
    """Return the parts of a content and its shape; InputError names the path of what is wrong."""
    if isinstance(raw, str):
        return (Text(raw),), None if dialect.plain else "string"
    if not isinstance(raw, list):
        raise wrong("a string or a list of parts", raw, at=at)
    read = [read_part(part, dialect, at=f"{at}[{index}]") for index, part in enumerate(raw)]
    parts = tuple(part for part, _ in read)
    return parts, shape_of([left for _, left in read], parts, dialect)


def shape_of(lefts: list[dict[str, Any]], parts: tuple[Part, ...], dialect: Dialect) -> Shape:
    """Return the shape of a list of *parts* with these left-over fields, None if it is the default."""
    if any(lefts) or (len(parts) > 1 and Text("") in parts):
        return lefts
    return "parts" if dialect.plain and (not parts or _is_lone_text(parts)) else None


def read_part(raw: Any, dialect: Dialect, *, at: str) -> tuple[Part, dict[str, Any]]:
    """Return one part of a content and its left-over fields; InputError names the path of what is wrong."""
    part = as_object(raw, at=at)
    kind = read_string(part, "type", at=at)
    if kind not in dialect.texts:
        return read_block(part, dialect.form, at=at), {}
    known = ("text", "type") if kind == dialect.text else ("text",)
    return Text(read_string(part, "text", at=at)), leftover(part, known)


def read_block(part: Mapping[str, Any], form: Form, *, at: str) -> Block:
    """Return *part* as a block of *form*."""
    return Block(form=form, kind=read_string(part, "type", at=at), body=write_json(part, at=at))


def write_content(parts: tuple[Part, ...], shape: Any, dialect: Dialect) -> Any:
    """Return the content: a string, a list of parts or None; by *shape* if it fits the *parts*, else the default."""
    if isinstance(shape, str) and shape in _EMPTY and not parts:
        return None
    if isinstance(shape, list) and len(shape) == len(parts):
        return [_write_part(part, left, dialect) for part, left in zip(parts, shape, strict=True)]
    if shape == "string" or (dialect.plain and shape != "parts"):
        lone = _plain(parts)
        if lone is not None:
            return lone
    return [_write_part(part, {}, dialect) for part in parts]


def speaker_of(message: Message) -> Speaker:
    """Return who says *message* in a provider's form: a compressed block is sent as the user's."""
    return "user" if message.role == "compressed" else message.role


def _plain(parts: tuple[Part, ...]) -> str | None:
    """Return the content as one string, or None if it needs a list."""
    if not parts:
        return ""
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], Text) else None


def _is_lone_text(parts: tuple[Part, ...]) -> bool:
    return len(parts) == 1 and isinstance(parts[0], Text)


def _write_part(part: Part, left: Any, dialect: Dialect) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": dialect.text, "text": part.text, **(left if isinstance(left, dict) else {})}
    if part.form == dialect.form:
        return read_body(part.body)
    image = translate_image(part, dialect.form) if dialect.images else None
    return image or {"type": dialect.text, "text": f"[{part.kind}: cannot be shown in this form]"}
