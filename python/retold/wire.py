"""The door to the core's wire: frames that append to many sessions or hold a stream, their parting, packed bodies."""

from retold._core import Appends, Packing, Scan, Splitter

__all__ = ["Appends", "Packing", "Scan", "Splitter"]
