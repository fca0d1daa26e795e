"""BEAM: how much of what later questions need is still in the history of one long chat.

Each question names the turns that hold its evidence. Two shares are measured, over all those turns: of their literals
(words with a digit in them: numbers, fractions, dates, formulas), each counted once, and of their runs of five words,
the mean over the turns. The first is what is required: it is the reading by which ``user-first`` comes nearest to the
figures that were given for it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from retold.cli.bench_strategies import Message, Strategy, size_of, texts_of
from retold.errors import InputError

BUDGETS: Final = (8_000, 16_000)
RUN_WORDS: Final = 5
_WORD: Final = re.compile(r"[A-Za-z0-9][\w./%'-]*")


class Evidence(Struct, frozen=True, kw_only=True):
    """Hold how much of the evidence a strategy leaves.

    Attributes:
        literals: the share of the evidence's literals in the history.
        runs: the share of an evidence turn's runs of five words, the mean over the turns.
    """

    budget_tokens: int
    strategy: str
    tokens: int
    literals: float
    runs: float


class Chat(Struct, frozen=True):
    """Hold one chat of BEAM: its messages, and the positions of those that hold evidence."""

    messages: list[Message]
    evidence: frozenset[int]


def read_chats(data: Path) -> list[Chat]:
    """Return the chats under *data*, of which there may be none."""
    return [_chat(path.parent) for path in sorted(data.glob("beam/**/probing_questions.json"))]


def measure(named: dict[str, Strategy], data: Path) -> list[Evidence]:
    """Return what is left of the evidence for each budget and strategy; nothing where the data is not there."""
    found: list[Evidence] = []
    for chat in read_chats(data):
        for budget in BUDGETS:
            for name, strategy in named.items():
                kept = strategy(chat.messages, budget)
                messages = [] if kept is None else kept.messages
                literals, runs = shares(chat, texts_of(messages))
                found.append(
                    Evidence(
                        budget_tokens=budget,
                        strategy=name,
                        tokens=size_of(messages),
                        literals=literals,
                        runs=runs,
                    )
                )
    return found


def shares(chat: Chat, history: str) -> tuple[float, float]:
    """Return which shares of the evidence's literals, and of its runs of words, are in *history*."""
    turns = [str(chat.messages[at]["content"]) for at in sorted(chat.evidence)]
    needed = {word for turn in turns for word in _literals(turn)}
    literals = len(needed & set(_literals(history))) / max(1, len(needed))
    shown = _runs(history)
    parts = [len(_runs(turn) & shown) / max(1, len(_runs(turn))) for turn in turns]
    return literals, sum(parts) / max(1, len(parts))


def _chat(folder: Path) -> Chat:
    try:
        batches = json.loads((folder / "chat.json").read_text(encoding="utf-8"))
        questions = json.loads((folder / "probing_questions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"expected a chat of BEAM in {folder}: {type(error).__name__}") from None
    turns = [turn for batch in batches for group in batch["turns"] for turn in group]
    place = {turn["id"]: at for at, turn in enumerate(turns)}
    asked = [question for kind in questions.values() for question in kind]
    named = {place[number] for question in asked for number in _numbers(question.get("source_chat_ids", []))}
    return Chat([{"role": turn["role"], "content": turn["content"]} for turn in turns], frozenset(named))


def _numbers(value: Any) -> Iterator[int]:
    """Yield the numbers in *value*, which are in lists, or in lists by name."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    else:
        yield value


def _words(text: str) -> list[str]:
    return [word.lower().rstrip("./'-") for word in _WORD.findall(text)]


def _literals(text: str) -> Iterator[str]:
    return (word for word in _words(text) if any(letter.isdigit() for letter in word))


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1)}
