"""Values of a provider's JSON, which may be anything: what they are if they are of their kind, else nothing."""

from typing import Any


def text_in(value: Any) -> str:
    """Return *value* if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def count_in(value: Any) -> int:
    """Return *value* if it is a whole number above 0, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
