"""The door to the core's wire: frames that append to many sessions, frames read from a whole stream, and their parting
from everything else that a server sends.
"""

from retold._core import Appends, Scan, Splitter

__all__ = ["Appends", "Scan", "Splitter"]
