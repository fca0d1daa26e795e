"""The door to the core's wire: the frames that append to many sessions, and the parting of what a server sends."""

from retold._core import Appends, Splitter

__all__ = ["Appends", "Splitter"]
