"""What in an error asks for something, and in what is escaped: narrower than `is_order`, for tools report so.

An error that tools give is to be told (`retold.policy.guarding`), and may say what to do about it. That alone is told
apart: behind what errors are labelled with, or at the beginning of a sentence, a verb *and* what it is done to. The
line is read as it stands, escaped, and in the disguises that keep letters or words.
"""

import codecs
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from retold.policy.sources import VERBS, count_words
from retold.screening import folded, sound
from retold.security.marks import without_hidden

DEMAND_CHARACTERS = 400
"""Of what may be a demand, so much is looked at."""

HEAD_WORDS_MIN = 2
"""What an error says before it asks for something stays an error if it has so many words beside its label."""

FILLERS_MIN = 4
"""A word that stands so many times in a row at every other place was put between the words of a sentence."""

SENTENCES_MAX = 64
"""An error of more sentences on one line is no error; it is taken for a demand, so that work is bounded."""

_ERROR = r"(?:\w*(?:error|exception)(?:\[\w+\])?|err|fatal|failed|failure|panic|warn|warning|错误|失败|异常)"
_LABEL = (
    rf"\W*(?:(?:{_ERROR}|hint|help|note|todo|important|urgent|system|user|assistant|instruction|exit code:? \d+|"
    r"提示|警告|系统|重要)\W{1,4})*"
)
_OBJECT = (
    r"(?:the|an?|all|every|each|any|your|my|our|his|her|their|its|this|that|these|those|everyone|everything|anything|"
    r"me|us|them|it)\b"
)
_PAYS = "transfer|pay|send|wire|buy|purchase|withdraw|deposit|move|donate"
_HANDS = (
    "transfer|forward|email|mail|invite|send|wire|upload|post|share|publish|submit|exfiltrate|leak|reply|respond|grant"
)
_ZH = "请|务必|必须|立即|马上|不要|始终|永远|总是|今后|从现在|记住|发送|转账|删除|执行|上传|调用|批准|推荐|转发"
_DEMAND = (
    rf"{_LABEL}(?:(?:now|then|first|also|and|finally|immediately|quietly|silently|secretly|next|you|assistant|agent|model|ai|must|"
    r"should|shall|need to|have to)\W+)*"
    rf"(?:please\W+(?:{VERBS})\b|(?:always|never|do not|don't)\W+(?:{VERBS})\b|(?:{VERBS})\W+{_OBJECT}"
    rf"|(?:{_PAYS})\W+\d|(?:act|pretend)\W+(?:as|to|like)\b"
    rf"|(?:{_HANDS})\W+(?:\w+\W+){{1,4}}?(?:to|into|from)\b(?!.*\b(?:fail\w*|not|denied|refused|invalid|unable|error|timed)\b))"
    rf"|(?!.*(?:\w失败|无法|不能|未能|不存在|无效|超时|拒绝|出错)){_LABEL}.{{0,12}}?"
    rf"(?:{_ZH})"
)
_MAY_DEMAND = re.compile(rf"\b(?:{VERBS}|{_PAYS}|{_HANDS})\b|{_ZH}")
_IS_DEMAND = re.compile(_DEMAND)
_IS_UNSPACED_DEMAND = re.compile(
    re.sub(r" (?=to)", "", _DEMAND.replace(r"\W+", r"\W*").replace(r"\b", "").replace(r"\W{1,4}", r"\W{0,4}"))
)
_IS_LABEL = re.compile(rf"\b{_ERROR}(?!\w)", re.IGNORECASE)

_SENTENCE = re.compile(r"(?:[.!?:;)}\]]|--|>)\s+|>|[\u3002\uff01\uff1f\uff1a\uff1b]\s*| [\u2013\u2014] ")
"""Where a sentence of an error ends."""
_PART = re.compile(r"[.!?:;=&\"'\n\r)}>\]\u3002\uff01\uff1f\uff1a\uff1b]\s*")
"""Where a sentence may begin in what was escaped."""

_SPACED = re.compile(r"(?:(?<![^\W_])[^\W_][\W_]+){8,}[^\W_]?(?![^\W_])")
_BETWEEN = re.compile(r"[\W_]+")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ATBASH = str.maketrans(_LETTERS + _LETTERS.upper(), _LETTERS[::-1] + _LETTERS[::-1].upper())
_LEET = str.maketrans("013457!@$", "oieastias")


def is_demand(line: str) -> bool:
    """Return whether *line* begins, behind what errors are labelled with, with what is to be done, and to what."""
    return _IS_DEMAND.match(folded(sound(without_hidden(line[:DEMAND_CHARACTERS])))) is not None


def asks_in_error(line: str) -> bool:
    """Return whether *line*, an error, asks for something, as it stands or in disguise. O(characters)."""
    if demand_at(line) is not None or any(map(is_demand, parts_escaped(line))):
        return True
    return any(demand_at(one) is not None for one in _undisguised(line)) or any(map(_asks_unspaced, _spaced(line)))


def error_apart(line: str) -> list[str]:
    """Return what went wrong, and what is to be done about it; one of them, where *line* says no more."""
    start = demand_at(line)
    head = line[:start].rstrip()
    is_parted = start is not None and count_words(_IS_LABEL.sub("", head)) >= HEAD_WORDS_MIN
    return [head, line[start:]] if is_parted else [line]


def demand_at(line: str) -> int | None:
    """Return where in *line*, an error, a sentence begins that asks for something; None where none does.

    O(characters): of each sentence a few are looked at.
    """
    if _MAY_DEMAND.search(folded(sound(without_hidden(line)))) is None:
        return None
    starts = (0, *(found.end() for found in _SENTENCE.finditer(line)))
    if len(starts) > SENTENCES_MAX:
        return 0
    return next((start for start in starts if is_demand(line[start:])), None)


def parts_escaped(value: str) -> list[str]:
    """Return the sentences of *value* with the escapes of addresses and pages read; none where it has no escapes."""
    plain = html.unescape(unquote(value))
    return _PART.split(without_hidden(plain)) if plain != value else []


def _undisguised(line: str) -> Iterator[str]:
    yield line[::-1]
    yield " ".join(word[::-1] for word in line.partition(": ")[2].split(" "))
    yield codecs.encode(line, "rot13")
    yield line.translate(_ATBASH)
    yield line.translate(_LEET)
    yield _unthreaded(line)


def _unthreaded(line: str) -> str:
    """Return the words of *line* that one word was put between, without it."""
    words = line.split(" ")
    found: list[str] = []
    at = 0
    while at < len(words):
        count = 1
        while words[at + 2 * count : at + 2 * count + 1] == [words[at]]:
            count += 1
        if count >= FILLERS_MIN:
            found += words[max(0, at - 1) : at + 2 * count : 2]
        at += 2 * count if count >= FILLERS_MIN else 1
    return " ".join(found)


def _spaced(line: str) -> Iterator[str]:
    """Yield what was written letter by letter, put together, forwards and backwards."""
    for found in _SPACED.finditer(line):
        joined = _BETWEEN.sub("", found[0])
        yield joined
        yield joined[::-1]


def _asks_unspaced(joined: str) -> bool:
    return _IS_UNSPACED_DEMAND.search(folded(sound(joined[:DEMAND_CHARACTERS]))) is not None
