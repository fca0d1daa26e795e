"""Read values out of a provider's JSON, and say what was expected, what came and where when a shape is wrong.

Messages name JSON kinds ("a string"), never the value: a value may be a user's text or a key.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from retold.errors import InputError


class Nothing:
    """Stand for a field that is not there, which is not the same as null."""


NOTHING: Final = Nothing()

_KINDS: Final = (
    (Nothing, "nothing"),
    (type(None), "null"),
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (Mapping, "an object"),
)


def kind_of(value: object) -> str:
    """Name the JSON kind of *value*, or its Python type if JSON has no such kind."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a Python {type(value).__name__}")


def wrong(expected: str, value: object, *, at: str) -> InputError:
    """Return the error that *value* at the path *at* is not what was *expected*."""
    return InputError(f"expected {expected} at {at or 'the message'}, got {kind_of(value)}")


def field(at: str, name: str) -> str:
    """Return the path of the field *name* below the path *at*."""
    return f"{at}.{name}" if at else name


def read_string(source: Mapping[str, Any], name: str, *, at: str = "") -> str:
    """Return the string under *name*; InputError names the path if it is not one."""
    value = source.get(name, NOTHING)
    if isinstance(value, str):
        return value
    raise wrong("a string", value, at=field(at, name))


def read_object(source: Mapping[str, Any], name: str, *, at: str = "") -> Mapping[str, Any]:
    """Return the object under *name*; InputError names the path if it is not one."""
    return as_object(source.get(name, NOTHING), at=field(at, name))


def as_object(value: object, *, at: str) -> Mapping[str, Any]:
    """Return *value* if it is a JSON object; InputError names the path *at* if it is not."""
    if isinstance(value, Mapping):
        return value
    raise wrong("an object", value, at=at)


def leftover(source: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return the fields of *source* that are not among the *known* ones, in order."""
    names = frozenset(known)
    return {name: value for name, value in source.items() if name not in names}
