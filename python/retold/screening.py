"""The door to the core's guard: orders and protected passages in every disguise of a text, and one spelling for all."""

from retold._core import Guard, folded, readings

__all__ = ["Guard", "folded", "readings"]
