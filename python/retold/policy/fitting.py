"""Fit a summary into its budget: long lines are shortened in the middle first; then whole lines leave.

Rules:
- The longest lines are shortened first, to one length that fills the budget, but not below `LINE_TOKENS_MIN`.
- Below it, lines leave from the longest section, its oldest first: no section starves the others, what is newest stays,
  and of the goal the first line leaves last. Where every section has one line, they leave in the order of `LEAVING`.
- The one line that is left is shortened as far as it must be; below `WORDS_TOKENS_MIN` it would say nothing.
"""

from collections.abc import Sequence

from msgspec import structs

from retold.events import SummaryField
from retold.fold import count_item
from retold.policy.ends import ends_of
from retold.policy.summary import section_title, summary_message
from retold.tokens import Encoding

LINE_TOKENS_MIN = 60
"""A line is not shortened below this (about 240 characters, what most lines are cut to) while another can leave."""

WORDS_TOKENS_MIN = 8
"""A line that is shorter than it was, and than this, is left out."""

LEAVING = (
    "errors",
    "identifiers",
    "requests",
    "files",
    "decisions",
    "facts",
    "open_work",
    "constraints",
    "last_step",
    "goal",
)
"""Which section gives its only line first."""

_Costs = dict[str, list[int]]


def within_budget(
    fields: Sequence[SummaryField], *, budget_tokens: int, encoding: Encoding, item_id: str, covers: Sequence[str]
) -> tuple[SummaryField, ...]:
    """Return *fields* shortened until their message is within *budget_tokens*; where not a word fits, without a line.

    A field may come back empty. O(tokens), with a recount or two.
    """
    empty = tuple(structs.replace(field, lines=()) for field in fields)
    room = budget_tokens - count_item(summary_message(empty, item_id=item_id, covers=covers), encoding).upper
    while room > 0:
        fitted = _fitted(fields, room, encoding)
        size = count_item(summary_message(fitted, item_id=item_id, covers=covers), encoding).upper
        if size <= budget_tokens:
            return fitted
        room -= size - budget_tokens  # where lines meet, the sum of their counts may be short by a token
    return empty


def _fitted(fields: Sequence[SummaryField], room: int, encoding: Encoding) -> tuple[SummaryField, ...]:
    lines = {field.name: list(field.lines) for field in fields}
    costs = {name: [encoding.count(f"\n- {line}") for line in section] for name, section in lines.items()}
    titles = {name: encoding.count(f"\n{section_title(name)}") for name in lines}
    length = _length(costs, titles, room)
    while length < min(LINE_TOKENS_MIN, _longest(costs)) and sum(map(len, costs.values())) > 1:
        name = _gives(costs)
        oldest = 1 if name == "goal" and len(costs[name]) > 1 else 0
        costs[name].pop(oldest)
        lines[name].pop(oldest)
        length = _length(costs, titles, room)
    return tuple(
        structs.replace(field, lines=tuple(_shortened(lines[field.name], costs[field.name], length, encoding)))
        for field in fields
    )


def _length(costs: _Costs, titles: dict[str, int], room: int) -> int:
    """Return the greatest length that, with every longer line shortened to it, all lines fit *room* at."""
    left = room - sum(titles[name] for name, section in costs.items() if section)
    ordered = sorted(cost for section in costs.values() for cost in section)
    for at, cost in enumerate(ordered):
        share = left // (len(ordered) - at)
        if cost > share:
            return share
        left -= cost
    return _longest(costs)


def _longest(costs: _Costs) -> int:
    return max((cost for section in costs.values() for cost in section), default=0)


def _gives(costs: _Costs) -> str:
    """Return the section that the next line leaves from."""
    several = [name for name, section in costs.items() if len(section) > 1]
    if several:
        return max(several, key=lambda name: sum(min(cost, LINE_TOKENS_MIN) for cost in costs[name]))
    single = [name for name, section in costs.items() if section]
    return min(single, key=lambda name: LEAVING.index(name) if name in LEAVING else -1)


def _shortened(lines: Sequence[str], costs: Sequence[int], length_tokens: int, encoding: Encoding) -> list[str]:
    shown = [
        line if cost <= length_tokens else _without_middle(line, length_tokens, encoding)
        for line, cost in zip(lines, costs, strict=True)
    ]
    return [line for line in shown if line]


def _without_middle(line: str, length_tokens: int, encoding: Encoding) -> str:
    """Return the head and the tail of *line*, *length_tokens* long with what a line takes beside its text."""
    if length_tokens < WORDS_TOKENS_MIN:
        return ""
    # "\n- " and " … " take two each.
    ends = ends_of(line, half_tokens=(length_tokens - 4) // 2, vocabulary=encoding)
    if ends is None:
        return line
    head, tail = ends
    return f"{head.rstrip()} … {tail.lstrip()}"
