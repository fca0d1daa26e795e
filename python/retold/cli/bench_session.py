"""The session that replay is measured on: turns of chat messages, as an agent with tools has them.

A turn is the user's message, two calls with their results, and the answer. Results take three quarters of the text, as
in the recorded sessions of Codex and Claude Code that we know, where the median item has 100 to 200 tokens and the
mean 300 to 1,000.
"""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from retold import tokens
from retold.cli.bench_texts import Corpus, corpora, text_end

Message: TypeAlias = dict[str, Any]

TURN_MESSAGES: Final = 6
_SHARES: Final = {"user": 0.4, "call": 0.3, "result": 2.3, "answer": 0.4}
"""Sizes in shares of the mean message; a turn's six messages come to six of them."""
_SPREAD: Final = (0.2, 1.8)
_KINDS: Final = ("code", "json", "english", "code", "chinese")
"""What a result holds, in turn."""
_SLICE_BYTES: Final = 20_000
_SLICES_MAX: Final = 400
_SAMPLE_BYTES: Final = 100_000


class Conversation(Struct, frozen=True, kw_only=True):
    """Hold a session's messages in chat form, by turns; the system message stands before the first.

    Attributes:
        tokens: of all texts, by o200k_base.
    """

    turns: tuple[tuple[Message, ...], ...]
    tokens: int
    sources: tuple[Corpus, ...]

    @property
    def messages(self) -> list[Message]:
        """Return all messages in order."""
        return [message for turn in self.turns for message in turn]

    @property
    def size_bytes(self) -> int:
        """Return what the messages take as compact JSON, one after the other."""
        return sum(len(as_json(message)) for message in self.messages)


def as_json(message: Message) -> bytes:
    """Return *message* as compact JSON in UTF-8."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def make_conversation(*, messages: int, budget_tokens: int, seed: int) -> Conversation:
    """Return a conversation of about *messages* messages and *budget_tokens* tokens, the same for the same seed."""
    chance = random.Random(f"session {seed}")  # noqa: S311 - test data, the same for the same seed
    slices = max(6, min(_SLICES_MAX, budget_tokens * 4 // _SLICE_BYTES // len(_KINDS) + 1))
    sources = corpora(size=_SLICE_BYTES, slices=slices, seed=seed, own={})
    mouths = {corpus.name: _Mouth(corpus, chance) for corpus in sources}
    counted = tokens.encoding("o200k_base")
    mean = budget_tokens / messages
    turns = [_turn(number, mouths, mean, chance) for number in range(max(1, round(messages / TURN_MESSAGES)))]
    turns[0] = [{"role": "system", "content": "You mend build failures. Never touch main."}, *turns[0]]
    whole = tuple(tuple(turn) for turn in turns)
    total = sum(counted.count_batch([_text(message) for turn in whole for message in turn]))
    return Conversation(turns=whole, tokens=total, sources=tuple(sources))


class _Mouth:
    """Give text of one kind, piece after piece; from the beginning again, cut elsewhere, when there is no more."""

    def __init__(self, corpus: Corpus, chance: random.Random) -> None:
        self._data = "\n".join(corpus.slices).encode()
        self._chance = chance
        self._at = 0
        sample = self._data[: text_end(self._data, min(_SAMPLE_BYTES, len(self._data)))].decode()
        self._bytes_per_token = len(sample.encode()) / max(1, tokens.encoding("o200k_base").count(sample))

    def text(self, budget_tokens: float) -> str:
        size = max(1, round(budget_tokens * self._chance.uniform(*_SPREAD) * self._bytes_per_token))
        if self._at + size > len(self._data):
            self._at = text_end(self._data, self._chance.randrange(0, max(1, min(997, len(self._data) - size))))
        start, self._at = self._at, text_end(self._data, min(self._at + size, len(self._data)))
        return self._data[start : self._at].decode()


def _turn(number: int, mouths: dict[str, _Mouth], mean: float, chance: random.Random) -> list[Message]:
    turn: list[Message] = [{"role": "user", "content": mouths["english"].text(mean * _SHARES["user"])}]
    for nth in range(2):
        arguments = json.dumps({"patch": mouths["code"].text(mean * _SHARES["call"])}, ensure_ascii=False)
        call = {
            "id": f"call-{number}-{nth}",
            "type": "function",
            "function": {"name": "run_tests", "arguments": arguments},
        }
        kind = _KINDS[chance.randrange(len(_KINDS))]
        turn.append({"role": "assistant", "content": None, "tool_calls": [call]})
        result = mouths[kind].text(mean * _SHARES["result"])
        turn.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    turn.append({"role": "assistant", "content": mouths["english"].text(mean * _SHARES["answer"])})
    return turn


def _text(message: Message) -> str:
    calls = message.get("tool_calls") or []
    return (message["content"] or "") + "".join(call["function"]["arguments"] for call in calls)


def in_batches(turns: Sequence[Sequence[Message]], *, at_least: int) -> Iterator[list[Message]]:
    """Yield the messages of whole turns, *at_least* so many at once, the rest last."""
    batch: list[Message] = []
    for turn in turns:
        batch.extend(turn)
        if len(batch) >= at_least:
            yield batch
            batch = []
    if batch:
        yield batch
