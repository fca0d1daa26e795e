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
from retold.policy.fitting import within_budget
from retold.policy.sources import Origin, Sources, is_order, is_short, least
from retold.policy.summary import FIELDS, QUOTED
from retold.screening import Guard, sound
from retold.security.marks import neutral
from retold.security.rules import ORDERS
from retold.security.secrets import redact
from retold.tokens import encoding

QUOTED_PERCENT = 15
"""Quotations take at most this much of the summary's budget."""

QUOTED_CHARACTERS_MAX = 240
"""Of one quotation, no more is shown: it says what was tried, and is not read for what it asks."""

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


def guard_fields(
    fields: Sequence[SummaryField], context: Context, decision: SummarizeSpan, *, summarizer: str
) -> Guarded:
    """Return *fields*, which *summarizer* wrote for *decision*, as they may be told. O(characters of what is covered).

    What the extraction wrote is not compared line by line: it names its sources. A field that loses its last line is
    empty.
    """
    sources = Sources(context, decision)
    is_extracted = summarizer == EXTRACTIVE
    told = {field.name: _told(field, sources, is_extracted=is_extracted) for field in fields}
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
        budget_tokens=decision.budget_tokens,
        encoding=encoding(context.encoding),
        item_id=decision.summary_id,
        covers=decision.covers,
    )
    return Guarded(fitted, findings)


def _told(field: SummaryField, sources: Sources, *, is_extracted: bool) -> list[_Line]:
    lines = [_looked_at(line, field, sources, is_extracted=is_extracted) for line in field.lines]
    if is_extracted or field.name in ("identifiers", "files"):
        return lines
    # A line may be pulled apart, a word a line: short neighbours are looked at as the one line that they may be.
    for is_run, group in groupby(range(len(lines)), key=lambda at: is_short(field.lines[at])):
        positions = list(group)
        if not is_run or len(positions) < 2:
            continue
        joined = _looked_at(" ".join(field.lines[at] for at in positions), field, sources, is_extracted=False)
        if joined.field != field.name:
            lines[positions[0]] = joined
            for at in positions[1:]:
                lines[at] = _Line("", None, "untrusted", ())
    return lines


def _looked_at(line: str, field: SummaryField, sources: Sources, *, is_extracted: bool) -> _Line:
    found: list[tuple[str, GuardAction]] = []
    plain = neutral(line)
    if plain != line:
        found.append(("marks", "plain"))
    plain, secrets = redact(plain)
    found += [(kind, "redacted") for kind in secrets]
    rule = _rules.met(line)
    if is_extracted and rule is None and not (field.name in ("open_work", QUOTED) and is_order(line)):
        return _Line(plain, field.name, "agent", field.seqs, tuple(found))
    origin = sources.origin(line, field.name)
    why = _why_quoted(line, field.name, rule, origin, is_extracted=is_extracted)
    if why is None:
        return _Line(plain, field.name, origin.trust, origin.seqs, tuple(found))
    if why == "unknown text":
        return _Line("", None, "untrusted", (), (*found, (why, "dropped")))
    quoted = _quotation(plain) if field.name != QUOTED else plain
    return _Line(quoted, QUOTED, "untrusted", origin.seqs, (*found, (why, "quoted")))


def _why_quoted(line: str, name: str, rule: str | None, origin: Origin, *, is_extracted: bool) -> str | None:
    """Return why *line* may not stand in the section *name*; None if it may."""
    if name == QUOTED:
        return "quoted before"
    if rule is not None and not origin.is_said:
        return rule
    if origin.trust == "trusted" or (is_extracted and origin.trust == "agent"):
        return None
    if origin.has_unknown:
        return "unknown text"
    if origin.is_copied and not _tells(line, name):
        return "copied"
    return "order" if origin.trust == "untrusted" and is_order(line) else None


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
