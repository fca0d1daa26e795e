"""What the user said, as lines for a summary: the newer of two values, and the more the weightier.

Statements that the history keeps word for word are not told again, but a newer value among them wins all the same.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct

from retold.events import SummaryField
from retold.fold import Entry
from retold.policy.bonds import is_user
from retold.policy.choosing import Line
from retold.policy.reading import text_of
from retold.policy.statements import Kind, Statement, read_statement, statements_of
from retold.policy.superseding import superseded
from retold.policy.words import is_literal, terms_of

FIELDS: dict[Kind, str] = {
    "rule": "constraints",
    "goal": "goal",
    "request": "requests",
    "fact": "facts",
    "pasted": "facts",
}
"""The section that a statement goes to."""

WEIGHTS: dict[Kind, float] = {"rule": 8.0, "goal": 6.0, "fact": 5.0, "request": 1.0, "pasted": 0.1}
"""What a term of a statement is worth; 1 is a term of a request, most of which were dealt with."""

UPDATE_WEIGHT = 1.5
"""By how much a statement weighs more that says what is otherwise now."""

END_WEIGHT = 6.0
"""By how much the first and the last statement of a long message weigh more: between them is matter."""

FIRST_WEIGHT = 4.0
"""By how much a request of the first message weighs more: it says what the whole is about."""

AGE_WEIGHT = 0.7
"""By how much the oldest request weighs less than the newest."""

QUOTED = ("requests", "constraints", "goal", "facts")
"""The sections of an earlier summary that quote the user."""


class Said(Struct, frozen=True):
    """Hold what the user said: the lines to tell, and what no longer holds.

    Attributes:
        gone: the values that were superseded and are no other statement's, with what they were about.
    """

    lines: list[Line]
    gone: dict[str, frozenset[str]]


def said_lines(entries: Sequence[Entry], *, previous: Sequence[SummaryField], kept: Sequence[Entry]) -> Said:
    """Return what the user said in *entries* and what *previous* quotes, without what was superseded since.

    *kept* is what stays in the history word for word; nothing of it is told. O(characters).
    """
    quoted = [(field.name, line) for field in previous if field.name in QUOTED for line in field.lines]
    before = [read_statement(line, seq=0, place=(number, 0)) for number, (_, line) in enumerate(quoted)]
    own = _statements(entries)
    said = [(one, True) for one in own] + [(one, False) for one in _statements(kept)]
    said.sort(key=lambda one: (one[0].seq, one[0].place))
    statements = [*before, *(statement for statement, _ in said)]
    is_told = [*(True for _ in before), *(is_own for _, is_own in said)]
    replaced = superseded(statements)
    standing = [at for at in range(len(statements)) if at not in replaced]
    first = min((one.seq for one in own), default=0) if not before else 0
    newest = max((one.seq for one in own), default=1)
    lines = [
        _line(one, field=_field(one, quoted, first), age=1 - one.seq / max(1, newest))
        for one in (statements[at] for at in standing if is_told[at])
    ]
    return Said(lines, _gone([statements[at] for at in replaced], [statements[at] for at in standing]))


def without_gone(lines: Sequence[Line], gone: dict[str, frozenset[str]]) -> list[Line]:
    """Return *lines* without those that tell a value which no longer holds, for what it was about.

    As an identifier, such a value is not told at all.
    """
    return [
        line for line in lines if not any(line.name or line.terms & gone[term] for term in line.terms & gone.keys())
    ]


def _statements(entries: Sequence[Entry]) -> list[Statement]:
    asked = [entry for entry in entries if is_user(entry)]
    return [
        statement
        for entry in asked
        if not (text := text_of(entry)).lstrip().startswith("<")
        for statement in statements_of(text, seq=entry.seq)
    ]


def _field(statement: Statement, quoted: Sequence[tuple[str, str]], first: int) -> str:
    """Return the section of *statement*: that which it had, else by its kind; what was asked *first* is the goal."""
    if not statement.seq:
        return quoted[statement.place[0]][0]
    is_first = statement.seq == first and statement.kind in ("request", "fact")
    return "goal" if is_first else FIELDS[statement.kind]


def _line(statement: Statement, *, field: str, age: float) -> Line:
    weight = WEIGHTS[statement.kind] * (UPDATE_WEIGHT if statement.is_update else 1)
    weight *= END_WEIGHT if statement.is_end else 1
    if statement.kind == "request":
        weight *= FIRST_WEIGHT if field == "goal" else 1 - AGE_WEIGHT * age
    return Line(
        field=field,
        text=statement.text,
        place=(statement.seq, *statement.place),
        weight=weight,
        terms=frozenset(terms_of(statement.text)),
        group=f"{statement.seq}.{statement.place[0]}",
    )


def _gone(replaced: Collection[Statement], standing: Collection[Statement]) -> dict[str, frozenset[str]]:
    values = {value for one in standing for _, value in one.sets} if replaced else ()
    holding = {term for value in values for term in terms_of(value)}
    gone: dict[str, frozenset[str]] = {}
    for one in replaced:
        for term in {term for _, value in one.sets for term in terms_of(value)} - holding:
            if is_literal(term):
                gone[term] = gone.get(term, frozenset()) | one.about
    return gone
