"""A story that looks at each of its compactions, and gives back everything that was offloaded."""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec
from tests.laws.promises import Made, breaches
from tests.laws.stories import Move, Story

from retold.events import (
    CompactionFailed,
    Fact,
    HistoryEdited,
    HistoryReplaced,
    ItemAppended,
    ItemExtended,
    ItemRestored,
    Policy,
    SessionRewound,
    Window,
)
from retold.policy import is_due, limits_for

_FLOOR = re.compile(r"expected a budget of at least (\d+) tokens[^,]*, got (\d+)")


class WatchedStory(Story):
    """A session whose every compaction is held against what compactions promise.

    Attributes:
        counts: what was seen, by name: each tier, floors that were named, items that were restored.
        broken: what was broken, by name, with the place.
        said: what was said, as JSON, by the item's id.
    """

    def __init__(self, window: Window, *, policy: Policy) -> None:
        """Open the session."""
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.said: dict[str, bytes] = {}
        super().__init__(window, policy=policy)

    def write(self, *facts: Fact) -> None:
        """Append *facts*, and remember what they say."""
        for fact in facts:
            super().write(fact)
            if isinstance(fact, ItemAppended | ItemExtended | HistoryEdited | SessionRewound):
                entries = self.context.entries
                for entry in entries[-1:] if isinstance(fact, ItemAppended | ItemExtended) else entries:
                    if entry.form in ("whole", "edited"):
                        self.said[entry.item.id] = msgspec.json.encode(entry.item)

    def follow(self, facts: Sequence[Fact]) -> "WatchedStory":
        """Append the source *facts* of another session, those after its opening, with a worker beside them."""
        places = {1: 1}
        for seq, fact in enumerate(facts, start=2):
            self.write(SessionRewound(to_seq=places[fact.to_seq]) if isinstance(fact, SessionRewound) else fact)
            places[seq] = self.events[-1].event.seq
            outline = self.builder.outline
            if is_due(outline, self.builder.upper_tokens, limits_for(outline)):
                self.tell([Move("compact", 1)])
        return self

    def restore_all(self) -> "WatchedStory":
        """Put every original back, one after the other, and compare it with what was said."""
        for entry in self.context.entries:
            if entry.form == "placeholder":
                assert entry.original is not None
                super().write(ItemRestored(item=self.originals[entry.original]))
                now = next(one for one in self.context.entries if one.item.id == entry.item.id)
                self.counts["restored"] += 1
                if msgspec.json.encode(now.item) != self.said[entry.item.id]:
                    self.broken.append(f"{entry.item.id} is not what was said")
        return self

    def _decide(self, number: int) -> None:
        written = len(self.events)
        super()._decide(number)
        for one in self.events[written:]:
            if isinstance(one.event.data, CompactionFailed):
                self._look_at_floor(one.event.data.reason)

    def _look_at_floor(self, reason: str) -> None:
        self.counts["floor"] += 1
        named = _FLOOR.search(reason)
        if named is None or int(named[1]) <= int(named[2]):
            self.broken.append(f"no floor is named: {reason}")

    def _commit(self, number: int) -> None:
        plan, written = self.plan, len(self.events)
        super()._commit(number)
        for fact in (one.event.data for one in self.events[written:]):
            if isinstance(fact, HistoryReplaced):
                assert plan is not None
                assert plan[1] is not None
                entries = self.context.entries[: len(plan[1].entries)]
                made = Made(before=plan[0], limits=self.limits, replaced=fact, entries=entries)
                self.counts[fact.tier] += 1
                self.broken += [f"at {fact.base_seq}: {promise}" for promise in breaches(made)]
