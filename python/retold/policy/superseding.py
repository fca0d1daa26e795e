"""Which statements a later one replaces: the newer value wins, however it is worded; another matter stays.

A statement replaces an older one if both set a value of one sort, or neither sets any, and
- it says that something is otherwise now, and shares enough of what either is about: the nearest one goes; or
- it says the same of the same matter (all that the older one is about), with another value.

Terms weigh by how rare they are among the statements: ``database`` says little where three databases are spoken of.
Cost: each statement is compared with those that it shares a term with, at most `COMPARED_MAX`, the newest.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import fsum, log

from msgspec import Struct

from retold.policy.cues import ADDS
from retold.policy.statements import Statement

COMPARED_MAX = 64
"""So many older statements that share a rare term are compared; the rest are too far back to be what is meant."""

SHARED_MIN = 0.6
"""An update is on the same matter if this much of it is shared, by weight."""

SHARED_RARE_MIN = 0.42
"""This much is enough where a term is shared that hardly any other statement has."""

PARALLEL = 0.6
"""Two that share this much of how they are put, and differ in what they are about, say the same of two matters."""

RARE = 2
"""So many statements may have such a term: the old one and the new one."""

_TIMES = frozenset({"today", "yesterday", "tomorrow", "week", "month"})


class _Matters(Struct, frozen=True):
    """Hold how many statements have a term, and what that makes it weigh."""

    held: Counter[str]
    weight: dict[str, float]


def superseded(statements: Sequence[Statement]) -> dict[int, int]:
    """Return, for each statement that a later one replaces, the position of that one.

    *statements* are in order; those of a summary before (`seq` 0) were compared with each other when it was written.
    """
    matters = _weigh(statements)
    holders: dict[str, list[int]] = defaultdict(list)
    replaced: dict[int, int] = {}
    for at, statement in enumerate(statements):
        if statement.kind == "pasted" or not statement.seq:
            _hold(holders, statement, at)
            continue
        near = _near(statement, holders, matters)
        for older in _replaced_by(statement, [one for one in near if one not in replaced], statements, matters):
            replaced[older] = at
        _hold(holders, statement, at)
    return replaced


def _hold(holders: dict[str, list[int]], statement: Statement, at: int) -> None:
    for term in statement.about:
        holders[term].append(at)


def _weigh(statements: Iterable[Statement]) -> _Matters:
    """Return what each term weighs: much if few statements have it, for then it tells which matter is meant."""
    told = [statement for statement in statements if statement.kind not in ("request", "pasted")]
    held = Counter(term for statement in told for term in statement.about)
    terms = {term for statement in statements for term in statement.about}
    weight = {term: log(1 + max(1, len(told)) / max(1, held[term])) ** 2 for term in terms}
    return _Matters(held, weight)


def _near(statement: Statement, holders: dict[str, list[int]], matters: _Matters) -> list[int]:
    """Return the older statements that share a term with *statement*, those that share a rare one first."""
    found: dict[int, None] = {}
    for term in sorted(statement.about, key=lambda term: (-matters.weight[term], term)):
        for at in reversed(holders[term][-COMPARED_MAX:]):
            found[at] = None
        if len(found) >= COMPARED_MAX:
            break
    return list(found)


def _replaced_by(new: Statement, near: Sequence[int], statements: Sequence[Statement], matters: _Matters) -> list[int]:
    if new.kind == "request" and not new.is_update:
        return []
    same = [at for at in near if _says_anew(statements[at], new)]
    if same or not new.is_update or ADDS.is_in(new.text.lower()):
        return same
    shares = {at: _share(statements[at], new, matters.weight) for at in near if _may_replace(statements[at], new)}
    best = max(shares, key=lambda at: (shares[at], at), default=None)
    if best is None:
        return []
    is_rare = any(matters.held[term] <= RARE for term in statements[best].about & new.about)
    return [best] if shares[best] >= (SHARED_RARE_MIN if is_rare else SHARED_MIN) else []


def _sorts(statement: Statement) -> set[str]:
    return {sort for sort, _ in statement.sets}


def _may_replace(old: Statement, new: Statement) -> bool:
    if old.kind in ("request", "pasted") or old.text == new.text:
        return False
    if _are_parallel(old, new):
        return False
    olds, news = _sorts(old) - {"phrase"}, _sorts(new) - {"phrase"}
    if not olds and not news:
        return True
    return bool(olds & news) and not new.sets <= old.sets


def _are_parallel(old: Statement, new: Statement) -> bool:
    differ = old.about - new.about and new.about - old.about
    return bool(differ) and len(old.frame & new.frame) >= PARALLEL * len(old.frame | new.frame)


def _says_anew(old: Statement, new: Statement) -> bool:
    """Return whether *new* sets another value for all that *old* is about, in the same words."""
    if old.text == new.text:
        return True
    if not old.about or not new.sets or not old.about <= new.about:  # most pairs end here
        return False
    extra = new.about - old.about - _TIMES
    return not (extra and not new.is_update) and _sorts(old) == _sorts(new) and _may_replace(old, new)


def _share(old: Statement, new: Statement, weight: dict[str, float]) -> float:
    """Return how much of the two is the same matter: what they share beside what each has that the other has not."""
    focus = old.focus | new.focus

    def total(terms: Iterable[str]) -> float:
        return fsum(weight[term] * (2 if term in focus else 1) for term in terms)  # exact in whatever order

    shared = total(old.about & new.about)
    apart = min(total(old.about - new.about), total(new.about - old.about))
    return shared / (shared + apart) if shared else 0.0
