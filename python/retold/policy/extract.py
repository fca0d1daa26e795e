"""A summary without a model: deterministic, extractive, and built on the summary before it.

Each line is taken from an entry, whole or cut; nothing is invented. What the user said comes first: rules and limits,
goals, facts, and of two values for one matter only the newer (`said`, `superseding`). Then what was decided, which
files were touched, errors, open work, the last step (`done`), and the values that calls and results had (`values`).
Which of all these lines are told is a choice of the most within the budget (`choosing`). What the history keeps word
for word beside the summary is not told again.

It is the default summarizer and what a worker falls back on when a model fails. English and Chinese cues are known; in
other languages what the user said is told by its values and rare words.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from msgspec import structs

from retold.events import SummaryField
from retold.fold import Entry, count_item
from retold.policy.choosing import Line, choose_lines
from retold.policy.done import done_lines
from retold.policy.fitting import within_budget
from retold.policy.reading import cut_line, text_of
from retold.policy.said import said_lines, without_gone
from retold.policy.summary import FIELDS, section_title, summary_message
from retold.policy.values import value_lines
from retold.policy.words import terms_of
from retold.tokens import Encoding

GAP = " … "
"""Stands where clauses of a sentence were left out."""


def extract_summary(
    entries: Sequence[Entry],
    *,
    previous: Sequence[SummaryField],
    budget_tokens: int,
    item_id: str,
    encoding: Encoding,
    kept: Sequence[Entry] = (),
) -> tuple[SummaryField, ...]:
    """Return the fields of a summary of *entries*, oldest first, built on *previous*, within *budget_tokens*.

    The fields are those of `FIELDS`, in that order; a field may be empty. *item_id* is the summary's own id, *kept* the
    entries that stay in the history beside it. O(characters of the entries), with a logarithm for the choice.
    """
    # The ages of lines must not hang on the events of the log between the entries: a late worker's stand elsewhere.
    seqs = sorted({entry.seq for entry in (*entries, *kept)})
    places = {seq: place for place, seq in enumerate(seqs, 1)}
    entries, kept = _placed(entries, places), _placed(kept, places)
    said = said_lines(entries, previous=previous, kept=kept)
    agent = [*done_lines(entries, previous=previous), *value_lines(entries, previous=previous)]
    lines = _once([*said.lines, *without_gone(agent, said.gone)]) or _any_line(entries)
    covers = [entry.item.id for entry in entries]
    empty = tuple(SummaryField(name=name, lines=(), seqs=()) for name in FIELDS)
    frame = count_item(summary_message(empty, item_id=item_id, covers=covers), encoding).upper
    titles = {name: encoding.count(f"\n{section_title(name)}") for name in FIELDS}
    chosen = choose_lines(
        lines,
        room_tokens=budget_tokens - frame,
        titles=titles,
        told=(term for entry in kept for term in terms_of(text_of(entry))),
        encoding=encoding,
    )
    if not chosen and lines:
        chosen = [max(lines, key=lambda line: line.weight)]
    fields = [_field(name, [line for line in chosen if line.field == name], seqs) for name in FIELDS]
    return within_budget(fields, budget_tokens=budget_tokens, encoding=encoding, item_id=item_id, covers=covers)


def _placed(entries: Sequence[Entry], places: Mapping[int, int]) -> Sequence[Entry]:
    """Return *entries* with their places, from 1, for sequences; 0 stands for what the summary before told."""
    return [structs.replace(entry, seq=places[entry.seq]) for entry in entries]


def _any_line(entries: Sequence[Entry]) -> list[Line]:
    """Return a line of the newest entry with text, for where all that was said stays word for word beside."""
    for entry in reversed(entries):
        text = cut_line(text_of(entry))
        if text:
            return [Line("last_step", text, (entry.seq, 0, 0), 1.0, frozenset(terms_of(text)))]
    return []


def _once(lines: Iterable[Line]) -> list[Line]:
    """Return *lines* without those whose text comes again later in the same section."""
    newest = {(line.field, line.text): line for line in lines if line.text.strip()}
    return list(newest.values())


def _field(name: str, lines: Sequence[Line], seqs: Sequence[int]) -> SummaryField:
    """Return the section *name* of *lines*, those of one group joined, in order; place 1 is the first of *seqs*."""
    groups: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.place):
        groups.setdefault(line.group, []).append(line)
    told = sorted({line.place[0] for line in lines} - {0})
    return SummaryField(
        name=name, lines=tuple(map(_joined, groups.values())), seqs=tuple(seqs[place - 1] for place in told)
    )


def _joined(lines: Sequence[Line]) -> str:
    if lines[0].name:
        return f"{lines[0].name}: {', '.join(line.text for line in lines)}"
    parts = [lines[0].text]
    for before, line in pairwise(lines):
        follows = before.place[1:] in ((line.place[1], line.place[2] - 1), (line.place[1] - 1, line.place[2]))
        parts += ["" if follows else GAP, line.text]
    return " ".join("".join(parts).split())
