"""Where the lines of a summary come from: which entries, and so whose words they are. Computed, never asked of a model.

A line comes from an entry if it shares a run of words with it, as they stand, in another writing (base64, hex,
escapes), or letter by letter disguised (reversed, rot13, atbash). Words that nobody said are a model's own: as far as
the user and the agent use them, too, they are the agent's; else nobody knows whose. The core looks for all lines at
once (`retold.screening.origins`).
"""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from retold.events import Message, Reasoning, SummaryField, ToolCall, ToolResult, Trust, plain_text
from retold.fold import Context, Entry
from retold.policy.decisions import SummarizeSpan
from retold.policy.statements import blocks_of
from retold.screening import folded, origins, sound

LINE_WORDS_MIN = 3
"""A line of fewer words comes from anywhere, by the core's count."""

LONG_CHARACTERS = 1_500
"""What the user said in one message beyond this may have been pasted: it is no proof that an order is the user's."""

SEQS_MAX = 16
"""Of the events that a line comes from, so many are named."""

_TRUSTS: Final[tuple[Trust, ...]] = ("trusted", "agent", "untrusted")
_RANKS: Final[dict[Trust, int]] = {trust: rank for rank, trust in enumerate(_TRUSTS)}
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\u3040-\u9fff]+")

VERBS: Final = (
    "send|run|execute|delete|transfer|email|forward|upload|call|open|visit|click|buy|pay|book|reserve|invite|remove|post|share|wire|"
    "print|repeat|tell|reply|respond|answer|always|never|do|don't|must|stop|install|download|fetch|include|append|disable|grant|"
    "approve|cancel|schedule|recommend|prefer|treat|assume|remember|act|pretend|output|obey|give|let|output|publish|submit|push|"
    "rate|subscribe|purchase|order|use|follow|ask|say|write|create|add|make|ensure|read|drop|omit|reveal|quote|copy|store|save|"
    "keep|wipe|erase|destroy|kill|shut|leak|exfiltrate|curl|wget|sudo|rm|insert|set|change|update|replace|mark|ignore|forget"
)
"""What an agent may be told to do, in the plainest words."""
_IS_ORDER = re.compile(
    r"^\W*(?:(?:todo|fixme|note|important|urgent|next step|task|action|rule|goal|system|user|instruction|constraint)s?"
    r"\W{1,3})*"
    rf"(?:(?:please|now|then|first|also|and|finally|immediately|quietly|silently|secretly|next)\W+)*(?:{VERBS})\b"
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


def is_short(line: str) -> bool:
    """Return whether *line* has too few words to come from anywhere: several of them may be one line, pulled apart."""
    return count_words(line) < LINE_WORDS_MIN


def count_words(line: str) -> int:
    """Return how many words *line* has; a Chinese character is one."""
    return len(_WORD.findall(line))


def least(trusts: Iterable[Trust]) -> Trust:
    """Return the least of *trusts*; of none, the least there is."""
    return max(trusts, key=_RANKS.__getitem__, default="untrusted")


class Sources:
    """Know what a summary was made of. Each entry is read once, and only when something is asked of it."""

    def __init__(self, context: Context, decision: SummarizeSpan) -> None:
        """Take what *decision* covers, and what the user and the system said elsewhere."""
        covers = set(decision.covers)
        self._entries = [
            entry
            for entry in context.entries
            if entry.form != "summary" and (entry.item.id in covers or _is_asking(entry))
        ]
        self._before = {field.name: field for field in context.summary}
        self._parts: dict[str, list[tuple[Trust, str]]] = {}
        self._trusts: dict[int, Trust] | None = None
        self._origins: dict[str, Origin] = {}

    def least_trust(self, field: SummaryField) -> Trust:
        """Return the least trust of the events that *field* names, and of what the summary before told there."""
        known = self._known_trusts()
        trusts = [known[seq] for seq in field.seqs if seq in known]
        before = self._before.get(field.name)
        if before is not None and not set(before.lines).isdisjoint(field.lines):
            trusts.append(before.trust or "untrusted")
        return least(trusts)

    def compare(self, lines: Iterable[str]) -> None:
        """Look where *lines* come from, all at once: `origin` tells. O(characters of the entries and the lines)."""
        sought = list(dict.fromkeys(lines))
        if not sought:
            return
        texts = [(entry.seq, trust, text) for entry in self._entries for trust, text in self._read(entry)]
        texts += [(0, field.trust or "untrusted", line) for field in self._before.values() for line in field.lines]
        told = origins([sound(line) for line in sought], [(_RANKS[trust], sound(text)) for _, trust, text in texts])
        for line, (rank, found, is_said, is_copied, has_unknown) in zip(sought, told, strict=True):
            seqs = sorted({texts[at][0] for at in found} - {0})[:SEQS_MAX]
            self._origins[line] = Origin(_TRUSTS[rank], tuple(seqs), is_said, is_copied, has_unknown)

    def origin(self, line: str, name: str) -> Origin:
        """Return where *line*, of the section *name*, comes from; it is one of those that were compared."""
        before = self._before.get(name)
        if before is not None and line in before.lines and before.trust == "trusted":
            return Origin("trusted", before.seqs, is_said=True)
        return self._origins[line]

    def _known_trusts(self) -> dict[int, Trust]:
        if self._trusts is None:
            self._trusts = {}
            for entry in self._entries:
                trust = least(trust for trust, _ in self._read(entry))
                self._trusts[entry.seq] = least((trust, self._trusts.get(entry.seq, trust)))
        return self._trusts

    def _read(self, entry: Entry) -> list[tuple[Trust, str]]:
        if entry.item.id not in self._parts:
            self._parts[entry.item.id] = _parts(entry)
        return self._parts[entry.item.id]


def _is_asking(entry: Entry) -> bool:
    """Return whether *entry* is of those who may ask for something: the user, the system."""
    item = entry.item
    is_blocked = entry.form in ("summary", "compressed")
    return isinstance(item, Message) and item.role in ("user", "system", "developer") and not is_blocked


def _parts(entry: Entry) -> list[tuple[Trust, str]]:
    """Return the text of *entry* by whose words they are: of a user's message, what was pasted is not the user's."""
    match entry.item:
        case Message(role="system" | "developer", content=content):
            return [("trusted", plain_text(content))]
        case Message(role="user", content=content) if entry.form not in ("summary", "compressed"):
            return _said(plain_text(content))
        case Message(content=content):
            return [("agent", plain_text(content))]
        case Reasoning(text=text) | ToolCall(arguments=text):
            return [("agent", text)]
        case ToolResult(content=content):
            return [("untrusted", plain_text(content))]
        case _:
            return [("untrusted", "")]


def _said(text: str) -> list[tuple[Trust, str]]:
    parts: dict[bool, list[str]] = {}
    for is_pasted, lines in blocks_of(text):
        parts.setdefault(is_pasted, []).extend(lines)
    said = "\n".join(parts.get(False, ()))
    found: list[tuple[Trust, str]] = [("agent" if len(said) > LONG_CHARACTERS else "trusted", said)]
    return [*found, ("untrusted", "\n".join(parts[True]))] if True in parts else found
