"""Framing: what a whole request takes as its provider is sent it, system text and tools included."""

from retold.framing.counting import RequestSize, count_request

__all__ = ["RequestSize", "count_request"]
