"""The door to the core's guard: orders, protected passages and origins in every disguise of a text."""

from retold._core import Guard, folded, is_encoded, origins

__all__ = ["Guard", "folded", "is_encoded", "origins", "sound"]


def sound(text: str) -> str:
    """Return *text* without halves of surrogate pairs, which the core does not take. O(characters)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
