"""What a model quotes of the user: the sentences that it is from, whole, for half of one may say the opposite."""

import re
from collections.abc import Sequence

from retold.policy.statements import RULE_CHARACTERS_MAX, sentence_spans, statements_of

QUOTE_CHARACTERS_MIN = 8
"""A shorter quotation proves nothing: it is found in any text."""

QUOTE_WIDE_MIN = 4
"""The same for one with characters of which each is a word, or nearly: Chinese and its like."""

_QUOTES = "\"'`“”‘’«»「」„ "  # noqa: RUF001 - what quotations are put in
_WIDE = re.compile(r"[\u3040-\u9fff\uac00-\ud7af]")


class Sayings:
    """What the user said, to find quotations in."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Look in *texts*, oldest first."""
        self._texts = [(" ".join(text.split()), text) for text in reversed(texts)]

    def whole(self, line: str) -> str | None:
        """Return the sentences that *line* quotes, on one line; None if nobody said it, or it is no rule.

        Of several places the newest counts. What was pasted is no rule, and a sentence of more than
        `RULE_CHARACTERS_MAX` characters is a story.
        """
        words = line.strip(_QUOTES).split()
        quotation = " ".join(words)
        if len(quotation) < (QUOTE_WIDE_MIN if _WIDE.search(quotation) else QUOTE_CHARACTERS_MIN):
            return None
        parted = re.compile(r"\s+".join(map(re.escape, words)))
        for flat, text in self._texts:
            if quotation in flat and (found := parted.search(text)) is not None:
                return _rule(text, *found.span())
        return None


def _rule(text: str, start: int, end: int) -> str | None:
    """Return the sentences of *text* that its part from *start* to *end* is of; None if they are no rule."""
    spans = [span for span in sentence_spans(text) if span[0] < end and span[1] > start]
    start, end = min([start, *(span[0] for span in spans)]), max([end, *(span[1] for span in spans)])
    if end - start > RULE_CHARACTERS_MAX:
        return None
    pasted = {one.text for one in statements_of(text, seq=0) if one.kind == "pasted"}
    if any(line.strip() in pasted for line in text[start:end].splitlines()):
        return None
    return " ".join(text[start:end].split())
