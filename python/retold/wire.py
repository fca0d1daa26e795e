"""The door to the core's wire: frames of appends and of a whole stream, their parting, packed bodies, runs of items."""

from retold._core import Appends, Packing, Run, Runs, Scan, Splitter

__all__ = ["Appends", "Packing", "Run", "Runs", "Scan", "Splitter"]
