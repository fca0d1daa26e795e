"""The head and the tail of a text, by their tokens: what is left of it when its middle goes."""

from bisect import bisect_right

from retold.tokens import Encoding


def ends_of(text: str, *, half_tokens: int, vocabulary: Encoding) -> tuple[str, str] | None:
    """Return the first and the last *half_tokens* of *text*, or None if it is not longer than both together.

    A reconstructed vocabulary has no tokens to count off, only counts: there, the longest head and tail that it counts
    so many in, found by halving. O(n), with a reconstruction O(n log n).
    """
    if vocabulary.kind != "exact":
        return _ends_by_counts(text, half_tokens, vocabulary)
    ids = vocabulary.encode(text)
    if len(ids) <= 2 * half_tokens:
        return None
    head = vocabulary.decode(ids[:half_tokens]).decode(errors="ignore")
    tail = vocabulary.decode(ids[len(ids) - half_tokens :]).decode(errors="ignore")
    return head, tail


def _ends_by_counts(text: str, half_tokens: int, vocabulary: Encoding) -> tuple[str, str] | None:
    if vocabulary.count_until(text, 2 * half_tokens) is not None:
        return None

    def is_too_long(part: str) -> bool:
        return vocabulary.count_until(part, half_tokens) is None

    lengths = range(1, len(text) + 1)
    head = bisect_right(lengths, False, key=lambda length: is_too_long(text[:length]))  # noqa: FBT003 - sought
    tail = bisect_right(lengths, False, key=lambda length: is_too_long(text[len(text) - length :]))  # noqa: FBT003
    return text[:head], text[len(text) - tail :]
