"""Planted facts: sessions in which a user states rules, constraints, facts, goals and preferences and changes them.

Five times the conversation grows and is compacted. A fact survives if a line of the history has its subject together
with its latest value. A value that was superseded is stale where a line has it with its subject and without the latest
one, in text that the strategy wrote, or in a message after which the latest one does not come again.

There are two sets of phrasings. ``held_out`` was written before the summariser was worked on, and no cue or constant
was chosen by it.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from retold.cli.bench_strategies import ENCODING, Message, Strategy, size_of, text_of
from retold.tokens import encoding

ROUNDS: Final = 5
SHARES: Final = (0.1, 0.2, 0.3)
"""What a compaction may leave of the history before it."""
FIRSTS: Final = (7, 6, 5, 4, 2)
"""How many facts are stated in each round."""
UPDATES: Final = (0, 3, 3, 3, 3)
"""How many are changed."""
TURNS: Final = 8
STEPS: Final = 3
"""Tool calls in a turn; with their results a round takes about 8,000 tokens, 1,300 of them the user's."""
RESULT_TOKENS: Final = 250
PASTED_TOKENS: Final = 180
"""What the user pastes in every second turn."""
PHRASES: Final = Path(__file__).with_name("bench_phrases.json")
SETS: Final = ("tuned", "held_out")


class Family(Struct, frozen=True):
    """Hold how one kind of fact is stated and changed; ``{s}`` is its subject, ``{v}`` its value."""

    type: str
    subjects: tuple[str, ...]
    values: str | tuple[str, ...]
    first: tuple[str, ...]
    update: tuple[str, ...]


class Phrases(Struct, frozen=True):
    """Hold the phrases of one language: what users and agents say beside the facts, and two sets of facts.

    Attributes:
        between: what stands between two sentences: nothing in Chinese.
    """

    requests: tuple[str, ...]
    answers: tuple[str, ...]
    thoughts: tuple[str, ...]
    tuned: tuple[Family, ...]
    held_out: tuple[Family, ...]
    between: str = " "


class Claim(Struct, frozen=True, kw_only=True):
    """Hold a fact as it stands: what it is about, its latest value, and the values before it."""

    type: str
    subject: str
    value: str
    before: tuple[str, ...] = ()


class Round(Struct, frozen=True):
    """Hold the messages of a round, and all claims as they stand at its end."""

    messages: list[Message]
    claims: list[Claim]


class Survival(Struct, frozen=True, kw_only=True):
    """Hold what became of the facts of some sessions under one strategy.

    Attributes:
        planted: facts that stand at the end.
        survived: those whose latest value is in the history after the last round.
        stale: superseded values that the history showed as if they held, after any round.
        missed: how many did not survive, by type.
        floors: compactions that the strategy refused.
        share: the budget, of the history before each compaction.
    """

    phrases: str
    language: str
    share: float
    strategy: str
    planted: int
    survived: int
    stale: int
    floors: int
    missed: dict[str, int]


def measure(named: dict[str, Strategy], *, sessions: int, seed: int) -> list[Survival]:
    """Return what survives of planted facts, for each set of phrasings, language, budget and strategy."""
    spoken = msgspec.json.decode(PHRASES.read_bytes(), type=dict[str, Phrases])
    found: list[Survival] = []
    for phrases in SETS:
        for language, said in spoken.items():
            told = [
                make_session(said, getattr(said, phrases), f"{seed} {phrases} {language} {nth}")
                for nth in range(sessions)
            ]
            found += [
                _survival(told, share, strategy, (phrases, language, name))
                for share in SHARES
                for name, strategy in named.items()
            ]
    return found


def make_session(said: Phrases, families: Sequence[Family], seed: str) -> list[Round]:
    """Return the rounds of one session, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - test data, the same for the same seed
    waiting = [(family, subject) for family in families for subject in family.subjects]
    chance.shuffle(waiting)
    values = _Values(chance)
    standing: dict[tuple[str, str], tuple[Family, Claim]] = {}
    rounds: list[Round] = []
    for number in range(ROUNDS):
        spoken: list[str] = []
        changeable = sorted(key for key, (family, _) in standing.items() if family.update)
        for key in chance.sample(changeable, min(UPDATES[number], len(changeable))):
            family, claim = standing[key]
            value = values.draw(family, claim.subject)
            now = Claim(type=claim.type, subject=claim.subject, value=value, before=(*claim.before, claim.value))
            standing[key] = family, now
            spoken.append(_phrase(chance.choice(family.update), now))
        for family, subject in waiting[: FIRSTS[number]]:
            claim = Claim(type=family.type, subject=subject, value=values.draw(family, subject))
            standing[family.first[0], subject] = family, claim
            spoken.append(_phrase(chance.choice(family.first), claim))
        del waiting[: FIRSTS[number]]
        messages = _turns(said, spoken, chance, number)
        rounds.append(Round(messages, [claim for _, claim in standing.values()]))
    return rounds


def survives(claim: Claim, history: Sequence[Message]) -> bool:
    """Return whether a line of *history* has the subject of *claim* with its latest value."""
    return any(_says(line, claim, claim.value) for message in history for line in text_of(message).splitlines())


def stale_values(claim: Claim, history: Sequence[Message], given: Callable[[Message], bool]) -> int:
    """Return how many values before the latest one *history* shows as if they held; *given* tells what was said."""
    lines = [(line, given(message)) for message in history for line in text_of(message).splitlines()]
    newest = max((at for at, (line, _) in enumerate(lines) if _says(line, claim, claim.value)), default=-1)
    return sum(
        1
        for value in claim.before
        if any(
            _says(line, claim, value) and not _says(line, claim, claim.value) and (not was_said or at > newest)
            for at, (line, was_said) in enumerate(lines)
        )
    )


def _survival(
    told: Sequence[Sequence[Round]], share: float, strategy: Strategy, names: tuple[str, str, str]
) -> Survival:
    planted = survived = stale = floors = 0
    missed: dict[str, int] = {}
    for rounds in told:
        history: list[Message] = []
        for number, one in enumerate(rounds, start=1):
            history = [*history, *one.messages]
            originals = {text_of(message) for message in history}
            kept = strategy(history, int(size_of(history) * share))
            floors += kept is None
            history = history if kept is None else kept.messages
            said = {text_of(message) for past in rounds[:number] for message in past.messages} & originals
            stale += sum(stale_values(claim, history, lambda message: text_of(message) in said) for claim in one.claims)  # noqa: B023 - called here
        for claim in rounds[-1].claims:
            planted += 1
            if survives(claim, history):
                survived += 1
            else:
                missed[claim.type] = missed.get(claim.type, 0) + 1
    phrases, language, name = names
    return Survival(
        phrases=phrases,
        language=language,
        share=share,
        strategy=name,
        planted=planted,
        survived=survived,
        stale=stale,
        floors=floors,
        missed=missed,
    )


def _says(line: str, claim: Claim, value: str) -> bool:
    return claim.subject.lower() in line.lower() and _has(line, value)


def _has(text: str, value: str) -> bool:
    """Return whether *text* has *value* as a whole: no longer number or name around it."""
    if value.lower() not in text.lower():
        return False
    pattern = rf"(?<![A-Za-z0-9_]){re.escape(value)}(?!\.?\d)(?![A-Za-z0-9_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _phrase(pattern: str, claim: Claim) -> str:
    text = pattern.format(s=claim.subject, v=claim.value)
    return text[:1].upper() + text[1:]


class _Values:
    """Draw values, no two of one kind alike."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._drawn: set[tuple[str, str]] = set()

    def draw(self, family: Family, subject: str) -> str:
        """Return a value that *subject* has not had; where values are drawn from a kind, one that nothing has had."""
        for _ in range(_TRIES_MAX):
            if isinstance(family.values, str):
                key = family.values, _DRAWN[family.values](self._chance)
            else:
                key = subject, self._chance.choice(family.values)
            if key not in self._drawn:
                self._drawn.add(key)
                return key[1]
        raise AssertionError("there are values enough for a session")


_TRIES_MAX: Final = 1_000
_PEOPLE: Final = ("Mira Okafor", "Jonas Lindqvist", "Priya Raman", "Tomasz Zielinski", "Aiko Mori", "Lena Brandt")
_PEOPLE_MORE: Final = ("Diego Fuentes", "Noor Haddad", "Sam Whitlock", "Greta Olsen", "Ravi Menon", "Clara Duval")
_PEOPLE_ZH: Final = (
    "王晓明",
    "李思远",
    "陈雨桐",
    "赵一鸣",
    "刘子涵",
    "孙若曦",
    "周启航",
    "吴佳宁",
    "郑浩然",
    "冯雅琴",
    "许志强",
    "何静怡",
)
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")

_DRAWN: Final[dict[str, Callable[[random.Random], str]]] = {
    "port": lambda chance: str(chance.randint(2_000, 9_999)),
    "milliseconds": lambda chance: str(chance.randint(101, 989)),
    "minutes": lambda chance: str(chance.randint(11, 97)),
    "version": lambda chance: f"{chance.randint(3, 19)}.{chance.randint(1, 29)}",
    "host": lambda chance: f"db-{chance.randint(10, 99)}.internal",
    "bucket": lambda chance: f"s3://acme-{chance.choice(('blue', 'green', 'amber', 'slate'))}-{chance.randint(10, 99)}",
    "person": lambda chance: chance.choice((*_PEOPLE, *_PEOPLE_MORE)),
    "person_zh": lambda chance: chance.choice(_PEOPLE_ZH),
    "date": lambda chance: f"{chance.choice(_MONTHS)} {chance.randint(1, 28)}",
    "date_zh": lambda chance: f"{chance.randint(1, 12)}月{chance.randint(1, 28)}日",
}

_TOOLS: Final = ("pytest", "ruff", "mypy", "cargo build", "npm test", "make lint", "go vet")
_STEMS: Final = ("ledger", "session", "router", "cache", "parser", "queue", "token", "report", "filter", "schema")


def _turns(said: Phrases, spoken: Sequence[str], chance: random.Random, number: int) -> list[Message]:
    """Return a round's messages: turns of requests, calls with results and an answer; *spoken* among the requests."""
    at = [chance.randrange(TURNS) for _ in spoken]
    messages: list[Message] = [{"role": "system", "content": "You mend build failures."}] if number == 0 else []
    for turn in range(TURNS):
        stated = [text for text, place in zip(spoken, at, strict=True) if place == turn]
        words = [*stated, *(_filled(chance.choice(said.requests), chance) for _ in range(chance.randint(2, 5)))]
        chance.shuffle(words)
        pasted = _log(chance, PASTED_TOKENS) if turn % 2 else ""
        messages.append({"role": "user", "content": f"{said.between.join(words)}\n{pasted}".strip()})
        for step in range(STEPS):
            messages += _step(said, chance, f"call-{number}-{turn}-{step}")
        messages.append({"role": "assistant", "content": _filled(chance.choice(said.answers), chance)})
    return messages


def _step(said: Phrases, chance: random.Random, name: str) -> list[Message]:
    arguments = json.dumps({"path": _file(chance), "line": chance.randint(1, 400)})
    function = {"name": chance.choice(("read_file", "run", "search")), "arguments": arguments}
    call: dict[str, Any] = {"id": name, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": _filled(chance.choice(said.thoughts), chance), "tool_calls": [call]},
        {"role": "tool", "tool_call_id": name, "content": _log(chance, RESULT_TOKENS * chance.uniform(0.4, 1.6))},
    ]


def _log(chance: random.Random, size_tokens: float) -> str:
    lines: list[str] = []
    size = 0
    while size < size_tokens:
        lines.append(_log_line(chance))
        size += encoding(ENCODING).count(lines[-1]) + 1
    return "\n".join(lines)


def _log_line(chance: random.Random) -> str:
    return chance.choice(
        (
            f"{_file(chance)}:{chance.randint(1, 900)}: note: {chance.choice(_STEMS)} is used here",
            f"  {chance.choice(_STEMS)} = load('{chance.choice(_STEMS)}', retries={chance.randint(1, 9)})",
            f"PASSED tests/test_{chance.choice(_STEMS)}.py::test_{chance.choice(_STEMS)}_{chance.randint(1, 99)}",
            f"INFO {chance.choice(_STEMS)}: took {chance.randint(1, 900)} ms, port {chance.randint(2_000, 9_999)}",
            f"    # must never be called twice, use version {chance.randint(1, 9)}.{chance.randint(0, 9)} instead",
        )
    )


def _file(chance: random.Random) -> str:
    return f"src/{chance.choice(_STEMS)}/{chance.choice(_STEMS)}_{chance.randint(1, 40)}.py"


def _filled(pattern: str, chance: random.Random) -> str:
    return pattern.format(
        test=f"test_{chance.choice(_STEMS)}_{chance.randint(1, 60)}",
        tool=chance.choice(_TOOLS),
        file=_file(chance),
        number=chance.randint(2, 400),
    )
