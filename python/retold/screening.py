"""The door to the core's guard: orders and protected passages in every disguise of a text, and one spelling for all."""

from retold._core import Guard, folded, readings

__all__ = ["Guard", "folded", "readings", "sound"]


def sound(text: str) -> str:
    """Return *text* without halves of surrogate pairs, which the core does not take. O(characters)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
