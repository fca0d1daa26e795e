"""How each state of a conversation comes from the one before, in the fewest messages."""

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from msgspec import Struct

from retold.cli.bench_session import Message

State: TypeAlias = Sequence[Message]


class Change(Struct, frozen=True):
    """Hold that messages ``[first, last)`` of a state make room for *new*.

    Attributes:
        adds_only: whether *new* comes behind all that was there.
    """

    first: int
    last: int
    new: State
    adds_only: bool


def changes(states: Sequence[State]) -> list[list[Change]]:
    """Return for each state the changes that give it from the one before (the first from nothing).

    They are to be made in this order: from the back, so that the places of the next ones stay.
    """
    found: list[list[Change]] = []
    before: list[str] = []
    for state in states:
        after = [json.dumps(message, sort_keys=True) for message in state]
        found.append(_between(before, after, state))
        before = after
    return found


def _between(before: list[str], after: list[str], state: State) -> list[Change]:
    if after[: len(before)] == before:
        return [Change(len(before), len(before), state[len(before) :], adds_only=True)]
    steps = SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    return [
        Change(first, last, state[start:end], adds_only=first == len(before))
        for kind, first, last, start, end in reversed(steps)
        if kind != "equal"
    ]
