"""Drafts of facts: each with an id of its own, all with one time and one author."""

from collections.abc import Iterable

from retold.events import Draft, Fact
from retold.ports import Clock


def drafts_of(facts: Iterable[Fact], clock: Clock, *, actor: str) -> list[Draft]:
    """Return *facts* as *actor* would append them now. To repeat an append, give it the same drafts again."""
    now = clock.now()
    return [Draft(id=clock.new_id(), at=now, actor=actor, data=fact) for fact in facts]
