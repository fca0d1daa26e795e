"""The door to the core's finder of identifiers: what a later step may need letter for letter.

Words with a digit, an underscore, a slash, an inner capital or an inner dot: paths, addresses, hashes, ids, versions,
names and numbers. Found by their form alone, so in every language.
"""

from retold._core import count_identifiers, identifiers_in, tell_shortly

__all__ = ["count_identifiers", "identifiers_in", "tell_shortly"]
