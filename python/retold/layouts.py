"""The door to what the core does with the rows of a kept state: where each lies, what is to be stored, what they say.

Rows are given as lines, a row each, with a line feed behind it.
"""

from retold._core import Laid, Layout, items_hash

__all__ = ["Laid", "Layout", "items_hash"]
