"""The door to the core's layouts: which rows of a kept state lie where, and what is to be stored of the next one.

Rows are given as lines, a row each, with a line feed behind it.
"""

from retold._core import Laid, Layout

__all__ = ["Laid", "Layout"]
