"""Keys as the environment gives them: found wrong before anything runs, not at the first request; never told."""

from retold.errors import InputError


def check_key(key: object, *, variable: str) -> None:
    """Check that *key*, of the environment's *variable*, can be sent in a header; None is no key and passes.

    Raises:
        InputError: if it holds something else than letters, digits and signs of ASCII: a blank, a line break, quotes.
    """
    if isinstance(key, str) and not all("!" <= character <= "~" for character in key):
        raise InputError(f"expected a key in {variable} of ASCII without blanks and line breaks, got other characters")
