"""JSON text: written compactly and never lossy, read strictly.

What goes into an item's `body`, `arguments` or `extra` passes through here, so all of it can be carried as UTF-8 and
read by any JSON reader: no NaN, no lone surrogates.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from retold.errors import InputError
from retold.events.items import Form

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_FREE_FORM: Final = frozenset({"input", "arguments"})
"""Fields whose inside belongs to a tool: its keys may be anybody's text, so paths stop there."""


def write_json(value: Any, *, at: str = "") -> str:
    """Return *value* as compact JSON text; strings come out as they are, not escaped to ASCII.

    Raises InputError if it holds what JSON cannot: a Python object, a number that is not finite, a cycle.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise InputError(f"expected JSON values (finite, not nested too deep) in {at or 'the message'}") from None


def read_json(text: str, *, what: str) -> Any:
    """Return the value of JSON *text*; InputError names *what* it was, without quoting it."""
    try:
        return decode_json(text)
    except (ValueError, RecursionError):
        raise InputError(f"expected JSON text in {what}, got something else") from None


def decode_json(text: str) -> Any:
    """Return the value of JSON *text*; raises ValueError if it is no JSON or no number, RecursionError if too deep."""
    return _DECODER.decode(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def check_message(message: Mapping[str, Any], *, what: str = "") -> None:
    """Raise InputError unless *message* is JSON that UTF-8 can carry; the error names the path of a lone surrogate.

    *what* is the path of the message itself, where it is part of something.
    """
    text = write_json(dict(message), at=what)
    if _SURROGATE.search(text) is None:
        return
    try:
        path = next(surrogate_paths(message, what), what)
    except RecursionError:
        path = what or "the message"
    raise InputError(f"expected text that UTF-8 can carry at {path}, got a lone surrogate")


def surrogate_paths(value: Any, at: str) -> Iterator[str]:
    """Yield the path of every string in *value* that holds a lone surrogate; paths stop at a tool's own input."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            yield at or "the message"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _key_paths(str(key), inner, at)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from surrogate_paths(inner, f"{at}[{index}]")


def _key_paths(key: str, inner: Any, at: str) -> Iterator[str]:
    below = f"{at}.{key}" if at else key
    if not _NAME.fullmatch(key):
        below = f"{at}.?" if at else "?"
    if _SURROGATE.search(key):
        yield below
    found = surrogate_paths(inner, below)
    yield from ([below] if any(True for _ in found) else []) if key in _FREE_FORM else found


def replace_surrogates(value: Any) -> Any:
    """Return *value* with U+FFFD in place of each lone surrogate, in keys too."""
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {replace_surrogates(key): replace_surrogates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replace_surrogates(inner) for inner in value]
    return value


def write_extra(form: Form, **sections: Any) -> str | None:
    """Return an item's `extra`: the *sections* that hold anything, under the form that they came from, or None.

    The form is the key because a field that one provider gave must never be sent to another.
    """
    held = {name: section for name, section in sections.items() if section not in (None, {})}
    return write_json({form: held}) if held else None


def read_extra(extra: str | None, form: Form) -> dict[str, Any]:
    """Return the sections that an item's `extra` keeps for *form*; empty if it keeps none."""
    if extra is None:
        return {}
    value = read_json(extra, what="an item's extra")
    sections = value.get(form) if isinstance(value, dict) else None
    return sections if isinstance(sections, dict) else {}


_ADDRESS: Final = ("legacy", "untyped", "item", "inner")
"""Sections that say how an item is addressed: its way of writing, its provider's id, a call's namespace."""


def address_of(extra: str | None) -> str | None:
    """Return what of an item's `extra` still holds when its content is replaced: how it is addressed; or None."""
    value = None if extra is None else read_json(extra, what="an item's extra")
    if not isinstance(value, dict):
        return None
    held = {form: {name: part[name] for name in _ADDRESS if name in part} for form, part in value.items()}
    held = {form: part for form, part in held.items() if part}
    return write_json(held) if held else None


def read_body(body: str) -> dict[str, Any]:
    """Return the object that a provider's block holds as text."""
    value = read_json(body, what="a block's body")
    if isinstance(value, dict):
        return value
    raise InputError("expected a block's body to be a JSON object, got another kind of JSON")
