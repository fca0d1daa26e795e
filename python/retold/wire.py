"""The door to the core's wire: frames that append to many sessions, frames of a whole stream, and their parting."""

from retold._core import Appends, Scan, Splitter

__all__ = ["Appends", "Scan", "Splitter"]
