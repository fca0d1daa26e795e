"""What the agent did, as lines for a summary: decisions, files, errors, open work, the last step."""

from collections.abc import Callable, Iterable, Sequence

from retold.events import Message, SummaryField, ToolCall, ToolResult
from retold.fold import Entry
from retold.policy.bonds import open_calls
from retold.policy.choosing import Line
from retold.policy.cues import DECISION, ERROR, OPEN
from retold.policy.paths import file_actions
from retold.policy.reading import cut_line, text_of
from retold.policy.statements import clauses_of, sentences_of, spaced_sentences_of
from retold.policy.words import is_literal, terms_of

DECIDED, MEASURED, SPOKEN = 1.2, 0.6, 0.25
"""What a term is worth in a sentence of the agent's that tells a decision, a value, or neither."""

LAST_STEP = (12.0, 2.0)
"""In the first sentence of what was said last, and in those after it."""

CHANGED, TOUCHED = 4.0, 2.0
"""In a line on a file that was changed, and on one that was read."""

FAILED, LEFT_OPEN, WAITING, BEFORE = 0.5, 3.0, 8.0, 0.6
"""In an error, in open work, in a call that waits for its result; in a line that an earlier summary had."""

AGE_WEIGHT = 0.5
"""By how much the oldest line weighs less than the newest."""

OPEN_MESSAGES = 6
"""Open work is looked for in the newest messages of the agent, so many."""

READ = ("read", "searched", "used")


def done_lines(entries: Sequence[Entry], *, previous: Sequence[SummaryField]) -> list[Line]:
    """Return what the agent did in *entries*, and what *previous* tells of it, oldest first. O(characters)."""
    newest = max((entry.seq for entry in entries), default=1)

    def fresh(seq: int) -> float:
        return 1 - AGE_WEIGHT * (1 - seq / max(1, newest))

    said = [entry for entry in entries if _is_agents(entry)]
    before = {field.name: field.lines for field in previous}
    return [
        *_before("decisions", before.get("decisions", ())),
        *(line for entry in said for line in _spoken(entry, fresh(entry.seq))),
        *_files(entries, before.get("files", ()), fresh),
        *_before("errors", before.get("errors", ())),
        *(line for entry in entries for line in _errors(entry, fresh(entry.seq))),
        *_before("open_work", before.get("open_work", ())),
        *(line for entry in said[-OPEN_MESSAGES:] for line in _open(entry)),
        *_waiting(entries),
        *(_last_step(entries) or _before("last_step", before.get("last_step", ()))),
    ]


def _is_agents(entry: Entry) -> bool:
    return isinstance(entry.item, Message) and entry.item.role in ("assistant", "compressed")


def _before(field: str, lines: Iterable[str]) -> list[Line]:
    return [
        Line(field=field, text=line, place=(0, at, 0), weight=BEFORE, terms=frozenset(terms_of(line)), group=f"0.{at}")
        for at, line in enumerate(lines)
    ]


def _spoken(entry: Entry, fresh: float) -> list[Line]:
    lines: list[Line] = []
    for number, sentence in enumerate(sentences_of(text_of(entry))):
        terms = frozenset(terms_of(sentence))
        if len(terms) < 2:
            continue
        measured = MEASURED if any(map(is_literal, terms)) else SPOKEN
        weight = DECIDED if DECISION.is_in(sentence.lower()) else measured
        place = (entry.seq, number, 0)
        text = cut_line(sentence)
        lines.append(Line("decisions", text, place, weight * fresh, terms, group=f"{entry.seq}.{number}"))
    return lines


def _files(entries: Iterable[Entry], before: Iterable[str], fresh: Callable[[int], float]) -> list[Line]:
    """Return a line a file, ``path: what was done, what was done``, in the order in which files were touched last."""
    actions: dict[str, tuple[dict[str, None], int]] = {}
    for line in before:
        path, _, done = line.rpartition(": ")
        actions[path] = (dict.fromkeys(done.split(", ")), 0)
    for entry in entries:
        if isinstance(entry.item, ToolCall):
            for path, action in file_actions(entry.item):
                earlier = actions.pop(path, ({}, 0))[0]
                actions[path] = ({**earlier, action: None}, entry.seq)
    return [
        Line(
            field="files",
            text=f"{path}: {', '.join(done)}",
            place=(seq, at, 0),
            weight=(TOUCHED if set(done) <= set(READ) else CHANGED) * fresh(seq),
            terms=frozenset({path.lower(), f"{path.lower()}: {', '.join(done)}"}),  # that, nothing else tells
            group=path,
        )
        for at, (path, (done, seq)) in enumerate(actions.items())
    ]


def _errors(entry: Entry, fresh: float) -> list[Line]:
    if not isinstance(entry.item, ToolResult):
        return []
    text = text_of(entry)
    if not entry.item.is_error and not ERROR.search(text):
        return []
    lines = text.splitlines()
    telling = [line for line in lines if ERROR.search(line)]
    if not telling and entry.item.is_error:
        telling = [line for line in lines if line.strip()][-1:]
    return [
        Line(
            field="errors",
            text=cut_line(line),
            place=(entry.seq, at, 0),
            weight=FAILED * fresh,
            terms=frozenset(terms_of(cut_line(line))),
            group=f"{entry.seq}.{at}",
        )
        for at, line in enumerate(telling[-2:])
    ]


def _open(entry: Entry) -> list[Line]:
    found = [cut_line(line) for line in text_of(entry).splitlines() if OPEN.is_in(line.lower())]
    return [
        Line("open_work", text, (entry.seq, at, 0), LEFT_OPEN, frozenset(terms_of(text)), group=f"{entry.seq}.{at}")
        for at, text in enumerate(found)
    ]


def _waiting(entries: Sequence[Entry]) -> list[Line]:
    calls = [entries[at] for at in sorted(open_calls(entries))]
    return [
        Line(
            field="open_work",
            text=f"waiting for the result of {entry.item.name}",
            place=(entry.seq, 0, 0),
            weight=WAITING,
            terms=frozenset({entry.item.id}),
            group=entry.item.id,
        )
        for entry in calls
        if isinstance(entry.item, ToolCall)
    ]


def _last_step(entries: Sequence[Entry]) -> list[Line]:
    for entry in reversed(entries):
        if _is_agents(entry) and text_of(entry).strip():
            parts = [clause for sentence in spaced_sentences_of(text_of(entry)) for clause in clauses_of(sentence)]
            return [
                Line(
                    field="last_step",
                    text=part,
                    place=(entry.seq, at, 0),
                    weight=LAST_STEP[min(at, 1)],
                    terms=frozenset(terms_of(part)),
                    group="last",
                )
                for at, part in enumerate(parts)
            ]
        if isinstance(entry.item, ToolCall):
            text = cut_line(f"called {entry.item.name} with {entry.item.arguments}")
            terms = frozenset(terms_of(text))
            return [Line("last_step", text, (entry.seq, 0, 0), LAST_STEP[0], terms, group="last")]
    return []
