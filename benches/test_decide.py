"""What does a decision cost on a long history, and turning it into facts? Does the cost grow with the items alone?

The table of each group is one preset: medians, and in brackets how often the cost of 1,000 items that is.
"""

import random

import pytest
from msgspec import structs
from pytest_benchmark.fixture import BenchmarkFixture

from retold.events import Item, Message, Policy, Reasoning, SessionKey, Text, ToolCall, ToolResult, Tuning, Window
from retold.fold import Context, Entry, count_item, ledger_of, request_size
from retold.policy import PRESETS, SummarizeSpan, decide, extract_for, replace
from retold.tokens import encoding

ITEMS = (1_000, 2_500, 5_000, 10_000)
_WORDS = 4_000
"""How many words the texts are made of: those of a session of a few hundred thousand tokens."""


def _vocabulary(chance: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    plain = ["".join(chance.choice(letters) for _ in range(chance.randint(2, 9))) for _ in range(_WORDS)]
    paths = [f"src/{plain[nth]}/{plain[nth + 1]}.py:{nth}" for nth in range(0, _WORDS // 4, 2)]
    return plain + paths


def _turn(chance: random.Random, words: list[str], number: int) -> list[Item]:
    """Return a turn: a question, six steps of thought and one to three calls at once, an answer."""

    def text(length: int) -> tuple[Text]:
        return (Text(" ".join(chance.choices(words, k=length))),)

    items: list[Item] = [Message(role="user", content=text(40))]
    for step in range(6):
        names = [f"c{number}_{step}_{nth}" for nth in range(chance.randint(1, 3))]
        group = f"g{number}_{step}#{len(names) + 1}"
        items.append(Reasoning(text=text(20)[0].text))
        items.append(Message(role="assistant", content=text(15), group=group))
        items += [ToolCall(call_id=name, name="read", arguments=text(6)[0].text, group=group) for name in names]
        items += [ToolResult(call_id=name, content=text(chance.choice((20, 150, 400)))) for name in names]
    return [*items, Message(role="assistant", content=text(60))]


def made(length: int, policy: Policy) -> Context:
    """Return a history of so many items under a window in which *policy* is due."""
    chance, counting = random.Random(7), encoding("o200k_base")
    words = _vocabulary(chance)
    items: list[Item] = [Message(role="system", content=(Text("Never touch the schema."),))]
    while len(items) < length:
        items += _turn(chance, words, len(items))
    numbered = [structs.replace(item, id=f"i{number}") for number, item in enumerate(items[:length], start=1)]
    entries = tuple(Entry(item=item, tokens=count_item(item, counting), seq=at) for at, item in enumerate(numbered, 1))
    size = request_size(ledger_of(entries))
    return Context(
        key=SessionKey(tenant="default", session="bench"),
        seq=length,
        head="",
        window=Window(hard_limit=size.upper * 21 // 20, pre_rot=size.upper * 19 // 20),
        policy=policy,
        tuning=Tuning(offload_percent=70),
        encoding=counting.name,
        entries=entries,
        tokens=size,
    )


@pytest.mark.parametrize("policy", sorted(PRESETS))
@pytest.mark.parametrize("items", ITEMS)
def test_a_decision(benchmark: BenchmarkFixture, items: int, policy: Policy) -> None:
    """Decide what to offload or to summarise, on a history that is due."""
    context = made(items, policy)
    benchmark.group = f"decide, {policy}"
    assert benchmark.pedantic(decide, (context, context.window), rounds=21, warmup_rounds=2) is not None


@pytest.mark.parametrize("policy", sorted(PRESETS))
@pytest.mark.parametrize("items", ITEMS)
def test_the_facts_of_a_decision(benchmark: BenchmarkFixture, items: int, policy: Policy) -> None:
    """Turn a decision into facts with its receipt: hashes, pins, identifiers. The summary itself is there already."""
    context = made(items, policy)
    decision = decide(context, context.window)
    assert decision is not None
    summary = extract_for(context, decision) if isinstance(decision, SummarizeSpan) else None
    benchmark.group = f"replace, {policy}"
    again = {"summary": summary}
    assert benchmark.pedantic(replace, (context, decision), again, rounds=7, warmup_rounds=1) is not None
