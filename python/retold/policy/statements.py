"""What the user said, sentence by sentence: what each is, what it is about, and what it sets.

Text that was pasted (logs, code, the output of tools) is told from what was said: nothing in it is a rule.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from msgspec import Struct, structs

from retold.policy.cues import GOAL, PASTED, REQUEST, RULE, UPDATE
from retold.policy.words import is_literal, matter_of, terms_of

Kind = Literal["rule", "goal", "fact", "request", "pasted"]

PASTED_LINES_MIN = 3
"""A block of at least so many lines, most of them such as programs write, is pasted as a whole."""

_STOPS = "。！？｡।॥؟۔"  # noqa: RUF001
"""What ends a sentence wherever it stands: no blank follows it in Chinese, and no name has one. Unlike a full stop."""

_SENTENCE = re.compile(rf"[^\n.!?{_STOPS}]+(?:[.!?]+(?=[^\s{_STOPS}])[^\n.!?{_STOPS}]*)*[.!?{_STOPS}]*[”’」』）】》]*")  # noqa: RUF001
_NAME = re.compile(r"(?<![.!?\n] )(?<!^)\b[A-Z][\w'-]*(?: [A-Z][\w'-]*)*|^[A-Z][\w'-]*(?: [A-Z][\w'-]*)+")
_DIGIT = re.compile(r"\d")
_DATE = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}\b|\b\d{4}-\d\d-\d\d\b"
    r"|\d{1,2}月\d{1,2}[日号]",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\w.-])v?\d[\d.,:]*(?:\s?(?:ms|s|%|MB|GB|KB|minutes?|hours?|days?|weeks?))?(?![\w])", re.ASCII
)


_FOCUS = re.compile(
    r"\b(?:for|in|of|about|regarding|comes to|concerning)\s+(?:(?:the|our|a|an|my|your)\s+)?"
    r"([^\s,.;!?]+(?: [^\s,.;!?]+)?)"
    r"|^\W*([\u3400-\u9fff]{2,4})",
)
_FRAME_WORD = re.compile(r"[^\W\d_\u3040-\u9fff]+|[\u3040-\u9fff]")
_PHRASE = re.compile(
    r"\b(?:with|prefer|use|using|into|like|want|rather have)\s+(?:an? |the )?"
    r"([^\s,.;!?]+(?: (?!(?:in|for|on|of|when|to|at|from|after|by|as|please)\b)[^\s,.;!?]+){0,2})"
    r"|(?:用|想要|是要|喜欢|换成|改成|改为|变成)([\u3400-\u9fff]{2,8}?)[了吧]?[。.!]?$"
)
_BINDS = re.compile(
    r"\b(?:must|never|always|don't|do not|only|unless|not allowed|under no)\b|必须|不要|不能|不可|不许|禁止|除非"
)
_CUES = re.compile(f"{UPDATE.pattern}|{RULE.pattern}|{GOAL.pattern}")
_ASCII_CUES = re.compile(f"{UPDATE.ascii_pattern}|{RULE.ascii_pattern}|{GOAL.ascii_pattern}")
_NOUNS = frozenset({"deadline", "limit", "maximum", "minimum", "target", "milestone", "截止", "目标"})
"""Cues that also say what a statement is about."""


LONG_CHARACTERS = 200
"""A sentence that is longer is taken apart at its commas: what it sets is often one clause of many."""

LONG_STATEMENTS = 8
"""A message of more statements is long: what is wanted stands at its ends."""

CLAUSE_CHARACTERS_MIN = 40
"""A clause that is shorter stays with the one before it."""

RULE_CHARACTERS_MAX = 500
"""A rule is not taken apart, for its parts may say the opposite of the whole; one that is longer is a story."""

_CLAUSE = re.compile(r".+?(?:[,;:—]\s+|[，；：、]\s*|$)", re.DOTALL)  # noqa: RUF001


class Statement(Struct, frozen=True):
    """Hold one sentence of the user's, or one clause of a long one.

    Attributes:
        seq: of the entry that it was said in; 0 if a summary before quoted it.
        place: the number of its sentence in the entry, and of the clause in the sentence.
        about: its terms without its values.
        focus: those of its terms that follow ``for``, ``in``, ``of`` and such, or in Chinese stand first.
        frame: all its words, and Chinese characters, but for its values: how it is put.
        sets: its values by their sort: ``date``, ``number``, ``literal``, else ``name``, else ``phrase``.
        is_end: whether it is the first or the last of a long message.
        is_update: whether it says that something is otherwise than before.
    """

    text: str
    seq: int
    place: tuple[int, int]
    kind: Kind
    about: frozenset[str]
    focus: frozenset[str]
    frame: frozenset[str]
    sets: frozenset[tuple[str, str]]
    is_update: bool
    is_end: bool = False


def sentences_of(text: str) -> list[str]:
    """Return the sentences of *text*, each stripped; a line break ends one."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each sentence of *text* begins and ends, in characters, the blanks around it left out."""
    for match in _SENTENCE.finditer(text):
        if sentence := match.group().strip():
            start = text.index(sentence, match.start())
            yield start, start + len(sentence)


def spaced_sentences_of(text: str) -> list[str]:
    """Return the sentences of *text*, each with a blank behind it where something stands between it and the next."""
    spans = list(sentence_spans(text))
    nexts = [*(start for start, _ in spans[1:]), len(text) + 1]
    return [text[start:end] + " " * (end < after) for (start, end), after in zip(spans, nexts, strict=True)]


def clauses_of(sentence: str) -> list[str]:
    """Return *sentence* in its clauses if it is long, else whole; a clause that is long itself, in pieces of words.

    The clauses joined are the sentence: each has the blanks after it.
    """
    if len(sentence) <= LONG_CHARACTERS:
        return [sentence]
    clauses: list[str] = []
    for part in _CLAUSE.findall(sentence):
        if clauses and len(part) < CLAUSE_CHARACTERS_MIN and len(clauses[-1]) < LONG_CHARACTERS:
            clauses[-1] += part
        else:
            clauses.extend(_pieces(part))
    return clauses


def _pieces(text: str) -> Iterator[str]:
    """Yield *text* in pieces of at most `LONG_CHARACTERS`, parted at blanks where there are any."""
    while len(text) > LONG_CHARACTERS:
        end = text.rfind(" ", 1, LONG_CHARACTERS) + 1 or LONG_CHARACTERS
        yield text[:end]
        text = text[end:]
    if text:
        yield text


def statements_of(text: str, *, seq: int) -> list[Statement]:
    """Return the sentences of *text* as statements, a long one by its clauses, what was pasted by its lines."""
    statements = list(_statements(text, seq))
    if len(statements) > LONG_STATEMENTS:
        for at in (0, -1):
            statements[at] = structs.replace(statements[at], is_end=True)
    return statements


def _statements(text: str, seq: int) -> Iterator[Statement]:
    number = 0
    for is_pasted, block in blocks_of(text):
        for sentence in block if is_pasted else sentences_of("\n".join(block)):
            number += 1
            if is_pasted:
                none: frozenset[str] = frozenset()
                line = sentence.strip()
                yield Statement(line, seq, (number, 0), "pasted", none, none, none, frozenset(), is_update=False)
                continue
            is_rule = len(sentence) <= RULE_CHARACTERS_MAX and _BINDS.search(sentence.lower())
            for nth, clause in enumerate([sentence] if is_rule else clauses_of(sentence)):
                yield read_statement(clause, seq=seq, place=(number, nth))


def read_statement(sentence: str, *, seq: int, place: tuple[int, int]) -> Statement:
    """Return *sentence* as a statement."""
    text, sentence = sentence, sentence.strip()
    plain = lowered = sentence.lower()
    values = list(_values(sentence, lowered))
    is_measured = any(sort not in ("name", "phrase") for sort, _ in values)
    sets = [(sort, value) for sort, value in values if sort != "name" or not is_measured]
    for _, value in sorted(sets, key=lambda one: -len(one[1])):
        plain = plain.replace(value, " ")
    words = frozenset(_FRAME_WORD.findall(plain))
    plain = (_ASCII_CUES if plain.isascii() else _CUES).sub(_noun, plain)
    is_update = UPDATE.is_in(lowered)
    return Statement(
        text=text,
        seq=seq,
        place=place,
        kind=_kind(lowered, has_values=bool(values), is_update=is_update),
        about=frozenset(matter_of(plain)),
        focus=frozenset(matter_of(" ".join("".join(found) for found in _FOCUS.findall(plain)))),
        frame=words,
        sets=frozenset(sets),
        is_update=is_update,
    )


def _noun(cue: re.Match[str]) -> str:
    return cue.group() if cue.group() in _NOUNS else " "


def _kind(lowered: str, *, has_values: bool, is_update: bool) -> Kind:
    asks, is_rule = REQUEST.search(lowered) is not None, RULE.is_in(lowered)
    if asks and (not is_rule or lowered.endswith(("?", "？"))):  # noqa: RUF001
        return "request"
    if is_rule:
        return "rule"
    if GOAL.is_in(lowered):
        return "goal"
    return "fact" if has_values or is_update else "request" if asks else "fact"


def _values(sentence: str, lowered: str) -> Iterator[tuple[str, str]]:
    taken: list[tuple[int, int]] = []
    for sort, pattern in (("date", _DATE), ("number", _NUMBER)) if _DIGIT.search(sentence) else ():
        for match in pattern.finditer(sentence):
            if not any(start < match.end() and match.start() < end for start, end in taken):
                taken.append(match.span())
                yield sort, match.group().lower().rstrip(".,:")
    for term in terms_of(sentence):
        if is_literal(term) and not any(term in sentence[start:end].lower() for start, end in taken):
            yield "literal", term
    phrases = [] if taken else [match[1] or match[2] for match in _PHRASE.finditer(lowered)]
    yield from (("phrase", phrase) for phrase in phrases)
    yield from (("name", name) for name in ([] if phrases else _names(sentence, taken)))


def _names(sentence: str, taken: Sequence[tuple[int, int]]) -> Iterator[str]:
    for match in _NAME.finditer(sentence):
        name = match.group().lower()
        if name not in ("i", "i'd", "i'm", "i've", "ok") and not any(
            start < match.end() and match.start() < end for start, end in taken
        ):
            yield name


def blocks_of(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield neighbouring lines, with whether they were pasted; blank lines part them."""
    fenced = False
    lines: list[tuple[bool, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        lines.append((fenced, line))
    for (is_fenced, is_blank), group in groupby(lines, key=lambda line: (line[0], not line[1].strip())):
        block = [line for _, line in group]
        if is_fenced:
            yield True, [line for line in block if line.strip()]
        elif not is_blank:
            yield from _runs(block)


def _runs(block: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Part what was said before and after from what was pasted within a block of lines."""
    looks = [PASTED.search(line) is not None for line in block]
    first = next((at for at, pasted in enumerate(looks) if pasted), len(block))
    last = next((at for at in range(len(block) - 1, -1, -1) if looks[at]), first) + 1
    inner = block[first:last]
    if len(inner) >= PASTED_LINES_MIN and sum(looks[first:last]) * 2 > len(inner):
        for is_pasted, lines in ((False, block[:first]), (True, inner), (False, block[last:])):
            if lines:
                yield is_pasted, list(lines)
    else:
        yield False, list(block)
