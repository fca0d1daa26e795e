"""Which model a transcript's session was held with, and the encoding that counts as that model does."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from retold.events.facts import UsageReported
from retold.formats.lines import Happened, Imported, Problem, Start

MODEL_FACTS_MAX: Final = 100
"""How many facts of a session are read ahead for its model: it is named with the first usage, a few facts in."""

_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?![\d])")
_FIRST: Final = {"claude-4.8": (4, 8), "claude-4.7": (4, 7), "claude-3": (3, 0)}
"""The version from which on each reconstruction holds; the newest is taken for all to come."""


def encoding_of(model: str) -> str | None:
    """Return the name of the reconstruction for a Claude *model*, such as ``claude-opus-4-5-20251101``; else None."""
    found = _VERSION.search(model)
    if found is None:
        return None
    version = (int(found[1]), int(found[2] or 0))
    return next((name for name, first in _FIRST.items() if version >= first), None)


def name_models(events: Iterable[Imported]) -> Iterator[Imported]:
    """Yield *events* as they are, each start with the model of the first usage after it, if that comes soon.

    Holds at most `MODEL_FACTS_MAX` facts, with the problems between them.
    """
    held: list[Imported] = []
    facts = 0
    for event in events:
        if isinstance(event, Start):
            yield from held
            held, facts = [event], 0
            continue
        if not held:
            yield event
            continue
        held.append(event)
        facts += not isinstance(event, Problem)
        model = event.fact.model if isinstance(event, Happened) and isinstance(event.fact, UsageReported) else ""
        start = held[0]
        if isinstance(start, Start) and (model or facts >= MODEL_FACTS_MAX):
            yield replace(start, model=model)
            yield from held[1:]
            held = []
    yield from held
