"""The door to the core's wire: frames that append to many sessions, frames of a whole stream, their parting, packing."""

from retold._core import Appends, Packing, Scan, Splitter

__all__ = ["Appends", "Packing", "Scan", "Splitter"]
