"""The door to the core's finder of identifiers: what a later step may need letter for letter.

Words with a digit, an underscore, a slash, an inner capital or an inner dot: paths, addresses, hashes, ids, versions,
names and numbers. Found by their form alone, so in every language. Of a text of more than 20,000 characters the first
and the last 10,000 are searched.

`tell_shortly` tells identifiers as ``one, two``: those that are no bare numbers first, then ascending. Where a list of
values is given, those are told, each once, those that are no bare numbers or words first, then as they come. What does
not fit is left out for what does.
"""

from retold._core import count_identifiers, identifiers_in, tell_shortly

__all__ = ["count_identifiers", "identifiers_in", "tell_shortly"]
