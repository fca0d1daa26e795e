"""Where the lines of a summary come from: which entries, and so whose words they are. Computed, never asked of a model.

A line comes from an entry if it shares a run of words with it, as they stand, in another writing (base64, hex,
escapes), or
letter by letter disguised (reversed, rot13, atbash). Words that nobody said are a model's own: as far as the user and
the agent use them, too, they are the agent's; else nobody knows whose.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from retold.events import Message, Reasoning, SummaryField, ToolCall, ToolResult, Trust, plain_text
from retold.fold import Context, Entry
from retold.policy.decisions import SummarizeSpan
from retold.policy.statements import blocks_of
from retold.screening import folded, readings, sound

RUN_WORDS = 6
"""So many words in a row in one order are no chance."""

RUN_CHARACTERS = 10
"""Chinese characters in a row, as many."""

LINE_WORDS_MIN = 3
"""A line of fewer words comes from anywhere."""

KNOWN_PERCENT = 50
"""A line of which fewer words are the user's or the agent's is of unknown origin."""

UNKNOWN_CHARACTERS = 40
"""A row of so many letters and digits that is in nothing that was said was made up, or stands for something hidden."""

LONG_CHARACTERS = 1_500
"""What the user said in one message beyond this may have been pasted: it is no proof that an order is the user's."""

_ORDER: Final[dict[Trust, int]] = {"trusted": 0, "agent": 1, "untrusted": 2}
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\u3040-\u9fff]+")
_ROW = re.compile(rf"[A-Za-z0-9+/_=-]{{{UNKNOWN_CHARACTERS},}}")
_GAP = re.compile(r"\u2026|\.\.\.|\[…\]")

_VERBS = (
    "send|run|execute|delete|transfer|email|forward|upload|call|open|visit|click|buy|pay|book|reserve|invite|remove|post|share|wire|"
    "print|repeat|tell|reply|respond|answer|always|never|do|don't|must|stop|install|download|fetch|include|append|disable|grant|"
    "approve|cancel|schedule|recommend|prefer|treat|assume|remember|act|pretend|output|obey|give|let|output|publish|submit|push|"
    "rate|subscribe|purchase|order|use|follow|ask|say|write|create|add|make|ensure|read|drop|omit|reveal|quote|copy|store|save|"
    "keep|wipe|erase|destroy|kill|shut|leak|exfiltrate|curl|wget|sudo|rm|insert|set|change|update|replace|mark|ignore|forget"
)
_IS_ORDER = re.compile(
    r"^\W*(?:(?:todo|fixme|note|important|urgent|next step|task|action|rule|goal|system|user|instruction|constraint)s?"
    r"\W{1,3})*"
    rf"(?:(?:please|now|then|first|also|and|finally|immediately|quietly|silently|secretly|next)\W+)*(?:{_VERBS})\b"
    r"|\b(?:you|assistant|agent|model|ai|we)\W+(?:must|should|shall|need to|have to|will|are to|are required|can now)\b"
    r"|\b(?:must|always|never|from now on|make sure|be sure to|do not|don't|please)\b"
    r"|请|务必|必须|立即|马上|不要|始终|永远|总是|应当|今后|从现在|记住|发送|转账|删除|执行|上传|调用|批准|推荐"
)


class Origin(Struct, frozen=True):
    """Say where a line comes from.

    Attributes:
        trust: whose words they are, at least.
        seqs: the sequences of the entries that they stand in, ascending; a few where there are many.
        is_said: whether every part of it is the user's or the system's.
        is_copied: whether a run of words of it is a tool's or a page's, and no one else's.
        has_unknown: whether a long row of letters and digits is in it that stands nowhere.
    """

    trust: Trust
    seqs: tuple[int, ...] = ()
    is_said: bool = False
    is_copied: bool = False
    has_unknown: bool = False


def is_order(line: str) -> bool:
    """Return whether *line* asks for something to be done, in the plainest way; many that are harmless do."""
    return _IS_ORDER.search(folded(sound(line))) is not None


def least(trusts: Iterable[Trust]) -> Trust:
    """Return the least of *trusts*; of none, the least there is."""
    return max(trusts, key=_ORDER.__getitem__, default="untrusted")


def trust_of(entry: Entry) -> Trust:
    """Return whose words *entry* is: a user's message with something pasted in it is not all the user's."""
    match entry.item:
        case Message(role="system" | "developer"):
            return "trusted"
        case Message(role="user") if entry.form not in ("summary", "compressed"):
            return least(trust for trust, _ in _parts(entry))
        case Message() | Reasoning() | ToolCall():
            return "agent"
        case _:
            return "untrusted"


class Sources:
    """Know what a summary was made of. What is compared is read when it is first asked for."""

    def __init__(self, context: Context, decision: SummarizeSpan) -> None:
        """Take what *decision* covers, and what the user and the system said elsewhere."""
        covers = set(decision.covers)
        self._entries = [
            entry
            for entry in context.entries
            if entry.form != "summary" and (entry.item.id in covers or _is_asking(entry))
        ]
        self._before = {field.name: field for field in context.summary}
        self._texts: list[tuple[int, Trust, list[list[str]]]] | None = None
        self._raw = self._raw_said = ""

    def least_trust(self, field: SummaryField) -> Trust:
        """Return the least trust of the events that *field* names, and of what the summary before told there."""
        named = set(field.seqs)
        trusts: list[Trust] = [trust_of(entry) for entry in self._entries if entry.seq in named]
        before = self._before.get(field.name)
        if before is not None and not set(before.lines).isdisjoint(field.lines):
            trusts.append(before.trust or "untrusted")
        return least(trusts)

    def origin(self, line: str, name: str) -> Origin:
        """Return where *line*, of the section *name*, comes from. O(characters of the entries)."""
        before = self._before.get(name)
        if before is not None and line in before.lines and before.trust == "trusted":
            return Origin("trusted", before.seqs, is_said=True)
        parts = [
            words
            for reading in readings(sound(line))
            for part in _GAP.split(reading)
            if len(words := _WORD.findall(part)) >= LINE_WORDS_MIN
        ]
        runs = {run for words in parts for run in _runs(words)}
        if self._is_row_of_tools(line):
            return Origin("untrusted", is_copied=True)
        if not runs:
            return Origin("agent", has_unknown=self._has_unknown(line))
        found = self._found(runs)
        said = {run for run, (trust, _) in found.items() if trust == "trusted"}
        copied = {run for run, (trust, _) in found.items() if trust == "untrusted"}
        seqs = tuple(sorted({seq for _, seq in found.values()} - {0}))[:16]
        if said and not copied:
            return Origin("trusted", seqs, is_said=said == runs)
        trust: Trust = "untrusted" if copied else "agent" if found else self._guessed(parts)
        return Origin(trust, seqs, is_copied=any(map(_is_full, copied)), has_unknown=self._has_unknown(line))

    def _found(self, runs: set[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[Trust, int]]:
        """Return the *runs* that stand in an entry, each with the most trusted one that it stands in."""
        disguised = {shape: run for run in runs for shape in _disguises(run)}
        lengths = sorted({len(shape) for shape in disguised})
        found: dict[tuple[str, ...], tuple[Trust, int]] = {}
        for seq, trust, texts in self._read():
            for words in texts:
                for length in lengths:
                    for shape in zip(*(words[at:] for at in range(length)), strict=False):
                        run = disguised.get(shape)
                        if run is not None and (run not in found or _ORDER[trust] < _ORDER[found[run][0]]):
                            found[run] = trust, seq
        return found

    def _guessed(self, parts: Sequence[Sequence[str]]) -> Trust:
        heard = [texts for _, trust, texts in self._read() if trust != "untrusted"]
        known = {word for texts in heard for words in texts for word in words}
        told = [word for words in parts for word in words if len(word) > 2 or word >= "\u3040"]
        held = sum(word in known or f"{word}s" in known or word.removesuffix("s") in known for word in told)
        return "agent" if held * 100 >= len(told) * KNOWN_PERCENT else "untrusted"

    def _is_row_of_tools(self, line: str) -> bool:
        """Return whether a long row of letters and digits in *line* stands in what tools or pages said alone."""
        rows = _ROW.findall(line)
        if not rows:
            return False
        self._read()
        return any(row in self._raw and row not in self._raw_said for row in rows)

    def _has_unknown(self, line: str) -> bool:
        rows = _ROW.findall(line)
        self._read()
        return any(row not in self._raw for row in rows)

    def _read(self) -> Sequence[tuple[int, Trust, list[list[str]]]]:
        """Return each text's sequence (0: the summary before), whose words it is, and its words in each writing."""
        if self._texts is None:
            parts = [(entry.seq, trust, text) for entry in self._entries for trust, text in _parts(entry)]
            parts += [(0, field.trust or "untrusted", line) for field in self._before.values() for line in field.lines]
            self._raw = "\n".join(text for _, _, text in parts)
            self._raw_said = "\n".join(text for _, trust, text in parts if trust != "untrusted")
            self._texts = [
                (seq, trust, [_WORD.findall(reading) for reading in readings(sound(text))])
                for seq, trust, text in parts
            ]
        return self._texts


def _is_asking(entry: Entry) -> bool:
    """Return whether *entry* is of those who may ask for something: the user, the system."""
    item = entry.item
    is_blocked = entry.form in ("summary", "compressed")
    return isinstance(item, Message) and item.role in ("user", "system", "developer") and not is_blocked


def is_short(line: str) -> bool:
    """Return whether *line* has too few words to come from anywhere: several of them may be one line, pulled apart."""
    return len(_WORD.findall(line)) < LINE_WORDS_MIN


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every run of *words* that is long enough to be no chance; of a short line, the whole of it."""
    chinese = sum(word >= "\u3040" for word in words)
    length = min(len(words), RUN_CHARACTERS if chinese * 2 > len(words) else RUN_WORDS)
    return zip(*(words[at:] for at in range(length)), strict=False)


def _is_full(run: tuple[str, ...]) -> bool:
    """Return whether *run* is as long as runs are, and so no chance: what is told in few words is told by many."""
    return len(run) >= (RUN_CHARACTERS if sum(word >= "\u3040" for word in run) * 2 > len(run) else RUN_WORDS)


def _disguises(run: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield run
    if all(word.isascii() for word in run):
        yield tuple(codecs.encode(word, "rot13") for word in run)
        yield tuple(word.translate(_ATBASH) for word in run)
    backwards = tuple(word[::-1] for word in run)
    yield backwards
    yield backwards[::-1]


_ATBASH: Final[Mapping[int, int]] = {ord("a") + at: ord("z") - at for at in range(26)}


def _parts(entry: Entry) -> list[tuple[Trust, str]]:
    """Return the text of *entry* by whose words they are: of a user's message, what was pasted is not the user's."""
    text = _text(entry)
    if not (
        isinstance(entry.item, Message) and entry.item.role == "user" and entry.form not in ("summary", "compressed")
    ):
        return [(trust_of(entry), text)]
    parts: dict[bool, list[str]] = {}
    for is_pasted, lines in blocks_of(text):
        parts.setdefault(is_pasted, []).extend(lines)
    said = "\n".join(parts.get(False, ()))
    pasted = "\n".join(parts.get(True, ()))
    found: list[tuple[Trust, str]] = [("agent" if len(said) > LONG_CHARACTERS else "trusted", said)]
    return [*found, ("untrusted", pasted)] if pasted else found


def _text(entry: Entry) -> str:
    match entry.item:
        case Message(content=content) | ToolResult(content=content):
            return plain_text(content)
        case ToolCall(arguments=text) | Reasoning(text=text):
            return text
        case _:
            return ""
