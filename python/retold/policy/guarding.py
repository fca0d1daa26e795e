"""What of a summary may be told, and how: orders that no user gave are quoted or left out, secrets are left out.

Every summary passes here, whoever wrote it (`retold.policy.replacement.replace` is the one door), and code alone
decides:

- Marks of ours, of chat templates and of pages are made plain, hidden characters leave, secrets are replaced by their
  kind.
- A line that reads like an order (`retold.security.rules`) stands only if a user or the system said it.
- What a model wrote is compared with what it was shown. What it copied from a tool or a page is a quotation, and
  stands as one; an order that nobody gave stands as one, too. A long row of characters that nobody wrote is left out.
- Quotations are JSON strings in a section of their own, at the end, within a share of the budget. Or, as the session is
  tuned, they are left out.
- Each section's trust is the least of what it comes from, and every finding is recorded by rule and sequence, without
  text.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec
from msgspec import UNSET, Struct, structs

from retold.events import Finding, GuardAction, SummaryField, Trust
from retold.fold import Context
from retold.policy.cues import ERROR
from retold.policy.decisions import SummarizeSpan
from retold.policy.demands import asks_in_error, error_apart, parts_escaped
from retold.policy.fitting import within_budget
from retold.policy.sources import Origin, Sources, count_words, is_order, is_short, least
from retold.policy.summary import FIELDS, QUOTED, section_title
from retold.screening import Guard, is_encoded, sound
from retold.security.marks import neutral
from retold.security.rules import ORDERS
from retold.security.secrets import redact
from retold.tokens import encoding

QUOTED_PERCENT = 15
"""Quotations take at most this much of the summary's budget."""

QUOTED_CHARACTERS_MAX = 240
"""Of one quotation, no more is shown: it says what was tried, and is not read for what it asks."""

SENTENCE_WORDS_MIN = 4
"""An identifier of fewer words is a name."""

TEXT_SHARE = 2
"""A text takes at most so much more room as lines of a section than as it stands."""

_JOINS = frozenset(("the", "of", "to", "all", "every", "this", "that", "your", "and", "with", "from", "before", "then"))
"""Words that stand in sentences, and are no names."""

_PATH = re.compile(r"(?=[^:]*[./])[\w./@~+-]{1,200}(?:: .*)?", re.ASCII)

EXTRACTIVE = "extractive"
"""The writer whose lines are taken from the log, and know where they come from."""


class Guarded(Struct, frozen=True):
    """Hold the fields of a summary as they may be told, and what was found."""

    fields: tuple[SummaryField, ...]
    findings: tuple[Finding, ...]


class _Line(Struct, frozen=True):
    """Hold what becomes of one line: where it stands (None: nowhere), and why, if it does not stand as it was."""

    text: str
    field: str | None
    trust: Trust
    seqs: tuple[int, ...]
    found: tuple[tuple[str, GuardAction], ...] = ()


class _Rules:
    """Make the core's guard when a summary is first looked at: it takes a while, and most commands write none."""

    def __init__(self) -> None:
        self._guard: Guard | None = None

    def met(self, text: str) -> str | None:
        """Return the first rule that *text* meets, or None."""
        self._guard = self._guard or Guard(ORDERS, [])
        met = self._guard.orders(sound(text))
        return met[0][0] if met else None


_rules = _Rules()


class _Look(Struct, frozen=True):
    """Hold what a line reads like, before it is known where it comes from.

    Attributes:
        rule: the first rule that it meets.
        is_extracted: whether the extraction wrote it, whose sections name where they come from.
        asks: whether it asks for something, where that is looked at.
        hides: whether an identifier in it is a sentence in another writing.
    """

    line: str
    rule: str | None
    is_extracted: bool
    asks: bool
    hides: bool

    @property
    def is_named(self) -> bool:
        """Return whether what its section names is enough."""
        return self.is_extracted and self.rule is None and not self.asks and not self.hides


def guard_fields(
    fields: Sequence[SummaryField], context: Context, decision: SummarizeSpan, *, summarizer: str, room_tokens: int = 0
) -> Guarded:
    """Return *fields*, which *summarizer* wrote for *decision*, as they may be told. O(characters of what is covered).

    What the extraction wrote is not compared line by line: it names its sources. A field that loses its last line is
    empty. Where quotations make it longer, it is fitted into the budget, or into *room_tokens* if that is more.
    """
    sources = Sources(context, decision)
    is_extracted = summarizer == EXTRACTIVE
    fields = [_with_sentences_apart(field) for field in fields]
    looks = {
        field.name: [_look(line, field.name, is_extracted=is_extracted) for line in field.lines] for field in fields
    }
    apart = {field.name: [] if is_extracted else _pulled_apart(field) for field in fields}
    sources.compare(
        look.line
        for name, seen in looks.items()
        for look in (*seen, *(joined for _, joined in apart[name]))
        if not look.is_named
    )
    told = {field.name: _told(field, looks[field.name], apart[field.name], sources) for field in fields}
    quoted = [line for lines in told.values() for line in lines if line.field == QUOTED]
    quotations, dropped = _quotations(quoted, context, decision)
    stood = [field for field in fields if field.name != QUOTED]
    every = [_field(field, told[field.name], sources) for field in stood]
    guarded = [field for field, before in zip(every, stood, strict=True) if field.lines or not before.lines]
    if quotations.lines:
        guarded.append(quotations)
    findings = _findings(told, dropped)
    if not findings:
        return Guarded(tuple(guarded), ())
    fitted = within_budget(
        guarded,
        budget_tokens=max(decision.budget_tokens, room_tokens),
        encoding=encoding(context.encoding),
        item_id=decision.summary_id,
        covers=decision.covers,
    )
    return Guarded(fitted, findings)


def guard_text(text: str, context: Context, decision: SummarizeSpan) -> str:
    """Return *text*, a model's own summary of what *decision* covers, as it may be told; empty if nothing may be.

    Its lines stay in order and are not shortened; quotations stand in a section at the end. O(characters covered).
    """
    field = SummaryField(name="facts", lines=tuple(text.splitlines()))
    room = TEXT_SHARE * encoding(context.encoding).count(text) + decision.budget_tokens
    guarded = guard_fields((field,), context, decision, summarizer="model", room_tokens=room)
    if not guarded.findings:
        return text
    sections = {found.name: found.lines for found in guarded.fields}
    told = "\n".join(sections.get(field.name, ())).strip()
    quoted = sections.get(QUOTED, ())
    return "\n".join((told, section_title(QUOTED), *(f"- {line}" for line in quoted))) if told and quoted else told


def _look(line: str, name: str, *, is_extracted: bool) -> _Look:
    return _Look(
        line,
        _rules.met(line),
        is_extracted=is_extracted,
        asks=_asks_in(line, name, is_extracted=is_extracted),
        hides=_without_encoded(line, name) != line,
    )


def _asks_in(line: str, name: str, *, is_extracted: bool) -> bool:
    """Return whether *line*, of the section *name*, asks for something, where that is looked at."""
    match name:
        case "identifiers":
            values = _values(line)
            return any(map(_asks, values)) or _spells(values[1:])
        case "errors":
            return asks_in_error(line) or (not is_extracted and is_order(line))
        case "files" if not is_extracted:
            done = line.partition(": ")[2]
            return is_order(line) or (count_words(done) >= SENTENCE_WORDS_MIN and is_order(done))
        case _:
            return is_order(line) if not is_extracted or name in ("open_work", QUOTED) else False


def _values(line: str) -> list[str]:
    """Return what stands in a line of identifiers: what they are called, and each of them."""
    name, _, values = line.partition(": ")
    return [name, *values.split(", ")]


def _asks(value: str) -> bool:
    """Return whether an identifier, or what it is called, is a sentence that asks for something, or holds one."""
    if count_words(value) < SENTENCE_WORDS_MIN:
        return False
    if is_order(value) or _rules.met(value) is not None:
        return True
    return any(count_words(part) >= SENTENCE_WORDS_MIN and is_order(part) for part in parts_escaped(value))


def _spells(values: Sequence[str]) -> bool:
    """Return whether *values* are the words of one sentence that asks for something."""
    if len(values) < SENTENCE_WORDS_MIN or _JOINS.isdisjoint(value.lower() for value in values):
        return False
    return is_order(" ".join(values))


def _with_sentences_apart(field: SummaryField) -> SummaryField:
    """Return *field* with what asks for something in lines of its own, so that it alone is quoted."""
    match field.name:
        case "identifiers":
            lines = [part for line in field.lines for part in _identifiers_apart(line)]
        case "errors":
            lines = [part for line in field.lines for part in error_apart(line)]
        case _:
            return field
    return structs.replace(field, lines=tuple(lines))


def _identifiers_apart(line: str) -> list[str]:
    name, *values = _values(line)
    asking = [value for value in values if _asks(value)]
    if not asking:
        return [line]
    others = [value for value in values if value not in asking]
    return [f"{name}: {', '.join(part)}" for part in (others, *([one] for one in asking)) if part]


def _pulled_apart(field: SummaryField) -> list[tuple[list[int], _Look]]:
    """Return short neighbours as the one line that they may be, a word a line, with their places."""
    if field.name == "identifiers":
        return []
    runs: list[tuple[list[int], _Look]] = []
    for is_run, group in groupby(range(len(field.lines)), key=lambda at: is_short(field.lines[at])):
        places = list(group)
        if is_run and len(places) > 1:
            joined = " ".join(field.lines[at] for at in places)
            look = _look(joined, field.name, is_extracted=False)
            # Names of files are short, and listed as a tool lists them.
            if field.name != "files" or (count_words(joined) >= SENTENCE_WORDS_MIN and look.asks):
                runs.append((places, look))
    return runs


def _told(
    field: SummaryField, looks: Sequence[_Look], apart: Sequence[tuple[list[int], _Look]], sources: Sources
) -> list[_Line]:
    lines = [_looked_at(look, field, sources) for look in looks]
    for places, look in apart:
        joined = _looked_at(look, field, sources)
        if joined.field != field.name:
            lines[places[0]] = joined
            for at in places[1:]:
                lines[at] = _Line("", None, "untrusted", ())
    return lines


def _looked_at(look: _Look, field: SummaryField, sources: Sources) -> _Line:
    found: list[tuple[str, GuardAction]] = []
    plain = neutral(look.line)
    if plain != look.line:
        found.append(("marks", "plain"))
    plain, secrets = redact(plain)
    found += [(kind, "redacted") for kind in secrets]
    if (readable := _without_encoded(plain, field.name)) != plain:
        plain = readable
        found.append(("encoded", "dropped"))
    origin = Origin("agent", field.seqs) if look.is_named else sources.origin(look.line, field.name)
    if not plain and look.line:
        return _Line("", None, "untrusted", origin.seqs, tuple(found))
    why = None if look.is_named else _why_quoted(look, field.name, origin)
    if why is None:
        return _Line(plain, field.name, origin.trust, origin.seqs, tuple(found))
    if why == "unknown text":
        return _Line("", None, "untrusted", (), (*found, (why, "dropped")))
    quoted = _quotation(plain) if field.name != QUOTED else plain
    return _Line(quoted, QUOTED, "untrusted", origin.seqs, (*found, (why, "quoted")))


def _without_encoded(line: str, name: str) -> str:
    """Return *line* without names, a file or an error's words that are sentences in another writing (base64, hex)."""
    if name == "files":
        return "" if is_encoded(sound(line)) else line
    if name == "errors":
        words = line.split(" ")
        kept = [word for word in words if not is_encoded(sound(word))]
        return " ".join(kept) if len(kept) < len(words) else line
    if name != "identifiers":
        return line
    label, parted, values = line.partition(": ")
    kept = [value for value in values.split(", ") if not is_encoded(sound(value))]
    return f"{label}{parted}{', '.join(kept)}" if kept and not is_encoded(sound(label)) else ""


def _why_quoted(look: _Look, name: str, origin: Origin) -> str | None:
    """Return why a line may not stand in the section *name*; None if it may."""
    if name == QUOTED:
        return "quoted before"
    if look.rule is not None and not origin.is_said:
        return look.rule
    is_foreign = origin.trust == "untrusted"
    if origin.has_unknown and (is_foreign or not look.is_extracted):
        return "unknown text"
    if not look.is_extracted and origin.is_copied and not _tells(look.line, name):
        return "copied"
    return "order" if is_foreign and look.asks else None


def _tells(line: str, name: str) -> bool:
    """Return whether *line* is of what tools tell, where that is wanted: an error, a path, an identifier."""
    match name:
        case "errors":
            return ERROR.search(line) is not None
        case "files":
            return _PATH.fullmatch(line) is not None
        case _:
            return name == "identifiers"


def _quotation(line: str) -> str:
    text = line if len(line) <= QUOTED_CHARACTERS_MAX else f"{line[: QUOTED_CHARACTERS_MAX - 1]}…"
    return msgspec.json.encode(text).decode()


def _quotations(lines: Sequence[_Line], context: Context, decision: SummarizeSpan) -> tuple[SummaryField, list[_Line]]:
    """Return the section of quotations within its share of the budget, and the lines that found no room in it."""
    vocabulary = encoding(context.encoding)
    left = decision.budget_tokens * QUOTED_PERCENT // 100
    is_dropped = context.tuning is not None and context.tuning.drop_orders
    kept: dict[str, _Line] = {}
    dropped: list[_Line] = []
    for line in lines:
        cost = vocabulary.count(f"\n- {line.text}")
        if line.text in kept:
            continue
        if is_dropped or cost > left:
            dropped.append(line)
            continue
        kept[line.text] = line
        left -= cost
    seqs = tuple(sorted({seq for line in kept.values() for seq in line.seqs}))
    return SummaryField(name=QUOTED, lines=tuple(kept), seqs=seqs, trust="untrusted"), dropped


def _field(field: SummaryField, lines: Sequence[_Line], sources: Sources) -> SummaryField:
    kept = [line for line in lines if line.field == field.name]
    if not kept:
        return structs.replace(field, lines=(), trust=UNSET)
    if field.seqs:
        seqs, trust = field.seqs, sources.least_trust(field)
    else:
        seqs = tuple(sorted({seq for line in kept for seq in line.seqs}))
        trust = least(line.trust for line in kept)
    return SummaryField(name=field.name, lines=tuple(line.text for line in kept), seqs=seqs, trust=trust)


def _findings(told: Mapping[str, Sequence[_Line]], dropped: Sequence[_Line]) -> tuple[Finding, ...]:
    gone = {id(line) for line in dropped}
    counts: dict[tuple[str, GuardAction, str], list[_Line]] = {}
    for name in (*FIELDS, QUOTED):
        for line in told.get(name, ()):
            for rule, action in line.found:
                if rule == "quoted before":
                    continue
                done: GuardAction = "dropped" if action == "quoted" and id(line) in gone else action
                counts.setdefault((rule, done, name), []).append(line)
    return tuple(
        Finding(
            rule=rule,
            action=action,
            field=name,
            seqs=tuple(sorted({seq for line in lines for seq in line.seqs})),
            lines=len(lines),
        )
        for (rule, action, name), lines in counts.items()
    )
