"""What is sent to a model, request by request, under each way of keeping a session small.

Rules:
- Each is told the same items in the same order, and asked for its messages before each reply.
- Whoever calls a model for a summary gets one of `SUMMARY_TOKENS`, at no price. Retold's are extracted: it calls none.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from retold.cli.bench_session import Message
from retold.errors import FloorError
from retold.events import (
    CompactionFailed,
    Draft,
    Fact,
    Head,
    Item,
    ItemAppended,
    Policy,
    SessionOpened,
    Window,
    record,
    session_key,
)
from retold.fold import PRIMING, Builder, count_item
from retold.formats import complete, render, to_items
from retold.policy import carry_out, decide, due_recorded, is_due, limits_for, plan_id
from retold.tokens import encoding

ENCODING: Final = "o200k_base"
SUMMARY_TOKENS: Final = 1_000

_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEY: Final = session_key("bench")


class Sent(Struct, frozen=True):
    """Hold one message of a request: its JSON, and what it takes in tokens."""

    body: bytes
    tokens: int


class Sender(Protocol):
    """Hear what is said, and tell what is sent."""

    compactions: int

    def hear(self, items: Sequence[Item]) -> None:
        """Take in what was said since the request before."""
        ...

    def request(self) -> list[Sent]:
        """Return the messages of a request that is made now, the caller's own."""
        ...


class Everything:
    """Send all that was said."""

    compactions = 0

    def __init__(self) -> None:
        self._sent: list[Sent] = []

    def hear(self, items: Sequence[Item]) -> None:
        """Take in what was said."""
        self._sent += as_sent(items)

    def request(self) -> list[Sent]:
        """Return all of it."""
        return list(self._sent)


class Retold:
    """Send what a preset leaves, decided after each event, as a worker does that never lags."""

    def __init__(self, policy: Policy, window: Window) -> None:
        self.compactions = 0
        self._version = 0
        self._sent: list[Sent] = []
        self._head = Head()
        self._builder = Builder()
        self._write([SessionOpened(window=window, policy=policy, encoding=ENCODING)])

    def hear(self, items: Sequence[Item]) -> None:
        """Take in what was said, and compact wherever it is due."""
        for item in items:
            self._write([ItemAppended(item=item)])
            self._settle()
        if self.compactions == self._version:
            self._sent += as_sent(items)
        else:
            self._version = self.compactions
            self._sent = as_sent([entry.item for entry in self._builder.freeze().entries])

    def request(self) -> list[Sent]:
        """Return the history."""
        return list(self._sent)

    def _settle(self) -> None:
        outline = self._builder.outline
        if not is_due(outline, self._builder.upper_tokens, limits_for(outline)):
            return
        context = self._builder.freeze()
        try:
            if decide(context, context.window) is None:
                return
            self._write(carry_out(context, limits_for(context)).facts)
            self.compactions += 1
        except FloorError as floor:
            due = due_recorded(context)
            failed = CompactionFailed(plan=plan_id(context), base_seq=context.seq, reason=str(floor), due_tokens=due)
            self._write([failed])

    def _write(self, facts: Sequence[Fact]) -> None:
        drafts = [Draft(id=f"{self._head.seq + n}", at=_AT, actor="bench", data=fact) for n, fact in enumerate(facts)]
        for recorded in record(drafts, key=_KEY, head=self._head):
            self._builder.apply(recorded)
            self._head = recorded.head


class Tail:
    """Send the leading instructions and the newest steps that fit, as LangChain's `trim_messages` and many agents."""

    def __init__(self, limit_tokens: int) -> None:
        self.compactions = 0
        self._limit = limit_tokens - PRIMING
        self._first: list[Sent] = []
        self._steps: list[list[Sent]] = []
        self._start = 0

    def hear(self, items: Sequence[Item]) -> None:
        """Take in what was said."""
        if not self._steps:
            first, items = parted(items)
            self._first = as_sent(first)
        self._steps.append(as_sent(items))

    def request(self) -> list[Sent]:
        """Return the newest steps within the limit, at least the last."""
        left = self._limit - tokens_of(self._first)
        start = len(self._steps) - 1
        left -= tokens_of(self._steps[start])
        while start > 0 and tokens_of(self._steps[start - 1]) <= left:
            start -= 1
            left -= tokens_of(self._steps[start])
        self.compactions += int(start > self._start)
        self._start = start
        return [*self._first, *(sent for step in self._steps[start:] for sent in step)]


def parted(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Return the leading system and developer messages of *items*, and the others."""
    count = 0
    while count < len(items) and getattr(items[count], "role", "") in ("system", "developer"):
        count += 1
    return list(items[:count]), list(items[count:])


def as_sent(items: Sequence[Item]) -> list[Sent]:
    """Return *items* as chat messages, every call answered."""
    return [message_sent(message) for message in render(complete(items, "chat"), "chat")]


def message_sent(message: Message) -> Sent:
    """Return a chat message as it is sent."""
    vocabulary = encoding(ENCODING)
    tokens = sum(count_item(item, vocabulary).upper for item in to_items(message, form="chat"))
    return Sent(body=msgspec.json.encode(message), tokens=tokens)


def tokens_of(messages: Sequence[Sent]) -> int:
    """Return what *messages* take, in tokens."""
    return sum(message.tokens for message in messages)
