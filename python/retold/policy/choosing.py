"""Choose lines for a summary: the most that can be told in so many tokens.

A line is worth the terms that it tells and nothing else does, each by how rare it is, times the weight of who said it
and what kind of thing it is. Lines are taken by worth for a token, again and again, until nothing more fits: the greedy
answer to a knapsack whose things have parts in common. A line's worth only falls as others are taken, so it is looked
at again only when it comes to the top.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import fsum, log

from msgspec import Struct

from retold.policy.words import is_literal
from retold.tokens import Encoding

LITERAL = 1.5
"""A value says more than a word that is as rare."""

TOLD = 0.1
"""What a term is still worth where another line tells it as well."""

LINE_OVERHEAD_TOKENS = 1
"""What a line takes beside its own text, where lines meet."""


class Line(Struct, frozen=True):
    """Hold a line that a summary may have.

    Attributes:
        field: the summary's section.
        group: lines of one group and field become one line of the summary, in order of `place`.
        place: the order in the section: the entry's sequence, the number of the sentence, of the clause.
        name: what stands before the first line of the group, for an identifier.
        weight: by who said it and what kind of thing it is.
    """

    field: str
    text: str
    place: tuple[int, int, int]
    weight: float
    terms: frozenset[str]
    group: str = ""
    name: str = ""


def choose_lines(
    lines: Sequence[Line], *, room_tokens: int, titles: Mapping[str, int], told: Iterable[str], encoding: Encoding
) -> list[Line]:
    """Return the lines to tell within *room_tokens*, in the order of *lines*.

    *titles* says what a section's title takes, *told* which terms the history shows without a summary.
    O(terms + n log n) and little more.
    """
    worth = _worth(lines)
    known = set(told)
    costs = [count + LINE_OVERHEAD_TOKENS for count in encoding.count_batch([_written(line) for line in lines])]
    heap = [(-_density(line, cost, worth, known), at) for at, (line, cost) in enumerate(zip(lines, costs, strict=True))]
    heapify(heap)
    chosen: list[int] = []
    titled: set[str] = set()
    named: set[str] = set()
    while heap and room_tokens > 0:
        _, at = heappop(heap)
        line = lines[at]
        cost = costs[at] + (0 if line.field in titled else titles.get(line.field, 0))
        cost += encoding.count(f"\n- {line.name}: ") if line.name and line.name not in named else 0
        if cost > room_tokens:
            continue
        density = _density(line, costs[at], worth, known)
        if heap and -heap[0][0] > density:
            heappush(heap, (-density, at))
            continue
        if density <= 0:
            break
        chosen.append(at)
        room_tokens -= cost
        titled.add(line.field)
        named.add(line.name)
        known |= line.terms
    return [lines[at] for at in sorted(chosen)]


def _written(line: Line) -> str:
    return f", {line.text}" if line.name else f"\n- {line.text}"


def _worth(lines: Sequence[Line]) -> dict[str, float]:
    held = Counter(term for line in lines for term in line.terms)
    whole = len(lines) + 1
    return {term: log(1 + whole / count) * (LITERAL if is_literal(term) else 1) for term, count in held.items()}


def _density(line: Line, cost: int, worth: Mapping[str, float], known: set[str]) -> float:
    told = fsum(worth[term] * (TOLD if term in known else 1) for term in line.terms)  # exact in whatever order
    return line.weight * told / cost
