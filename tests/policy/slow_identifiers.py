"""Identifiers as regular expressions say them: what the core's finder is held against, character for character."""

import re

from retold.policy.values import values_in
from retold.policy.words import is_literal

_CHARACTERS_MAX = 20_000
_PART = r"[^\s\"'`<>()\[\]{},;=|\\\u2e80-\uffff]"
_TELLING = r"\d|_|/|[a-z][A-Z]|[A-Za-z]\.[A-Za-z]"
_WORD = re.compile(rf"(?<!{_PART}){_PART}*?(?:{_TELLING}){_PART}*")
_ENDS = ".:!?*#-…"
_LENGTHS = range(3, 201)


def slow_identifiers(text: str) -> set[str]:
    """Return the identifiers of *text*."""
    half = _CHARACTERS_MAX // 2
    searched = text if len(text) <= _CHARACTERS_MAX else f"{text[:half]}\n{text[-half:]}"
    words = {word for word in _WORD.findall(searched) if len(word) in _LENGTHS}
    return {word for word in (word.strip(_ENDS) for word in words) if len(word) in _LENGTHS}


def slowly_told(text: str, characters: int) -> str:
    """Return the values of *text* in at most so many *characters*, those that are no bare numbers or words first."""
    found = values_in(text)
    values = sorted(slow_identifiers(text)) if found is None else list(dict.fromkeys(one.value for one in found))
    values.sort(key=lambda value: (not is_literal(value), value.isdigit()))
    told = ""
    for value in values:
        room = characters - len(told) - (2 if told else 0)
        if room < 1:
            break
        if len(value) <= room:
            told = f"{told}, {value}" if told else value
    return told
