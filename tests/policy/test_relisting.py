"""`retold.compress`: ranges of a list of messages become blocks, and come back, without a log."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.texts import CHINESE, OUTPUT, TEXTS

import retold
from retold.errors import InputError
from retold.events import Form
from retold.formats import detect_forms, to_items
from retold.policy.compacting import list_context
from retold.policy.compressing import movable_runs

FORMS: tuple[Form, ...] = ("chat", "responses", "anthropic")


def _turn(form: Form, chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Return a reply with one to three parallel calls, and their results, in *form*."""
    ids = [f"c{number}_{nth}" for nth in range(chance.randint(1, 3))]
    texts = [chance.choice([OUTPUT, *TEXTS[:6]]) for _ in ids]
    if form == "chat":
        function = {"name": "read", "arguments": "{}"}
        calls = [{"id": name, "type": "function", "function": function} for name in ids]
        results = [
            {"role": "tool", "tool_call_id": name, "content": text} for name, text in zip(ids, texts, strict=True)
        ]
        return [{"role": "assistant", "content": "Look.", "tool_calls": calls}, *results]
    if form == "responses":
        return [
            {"type": "reasoning", "summary": [], "encrypted_content": "QUJD"},
            *({"type": "function_call", "call_id": name, "name": "read", "arguments": "{}"} for name in ids),
            *(
                {"type": "function_call_output", "call_id": one, "output": text}
                for one, text in zip(ids, texts, strict=True)
            ),
        ]
    used = [{"type": "tool_use", "id": name, "name": "read", "input": {}} for name in ids]
    told = [{"type": "tool_result", "tool_use_id": one, "content": text} for one, text in zip(ids, texts, strict=True)]
    return [
        {"role": "assistant", "content": [{"type": "text", "text": "Look."}, *used]},
        {"role": "user", "content": told},
    ]


def _conversation(form: Form, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Never touch main."}]
    for number in range(chance.randint(1, 6)):
        messages.append({"role": "user", "content": chance.choice([CHINESE, "Go on.", "Why?"])})
        messages += _turn(form, chance, number)
    return [*messages, {"role": "assistant", "content": "Done. " * chance.randint(1, 90)}]


def _ranges(messages: list[dict[str, Any]], form: Form, one: int, two: int) -> list[dict[str, Any]]:
    """Return the ranges between two places that may be compressed."""
    context = list_context([item for one in messages for item in to_items(one, form=form)], 10**9, "o200k_base")
    first, last = sorted((one % len(context.entries), two % len(context.entries)))
    ids = [entry.item.id for entry in context.entries]
    runs = movable_runs(context, first, last)
    return [{"first": ids[run.start], "last": ids[run.stop - 1], "messages": ["done"]} for run in runs]


def _size(messages: list[dict[str, Any]], form: Form, asked: dict[str, Any]) -> int:
    """Return what the entries of a range take, in tokens."""
    lines = retold.view(messages, window=retold.Window(hard_limit=10**6), form=form).lines
    ids = [line.item for line in lines]
    return sum(line.tokens for line in lines[ids.index(asked["first"]) : ids.index(asked["last"]) + 1])


@law(90)
@given(st.sampled_from(FORMS), st.integers(0, 200), st.integers(0, 99), st.integers(0, 99))
def test_what_was_compressed_comes_back_in_its_form(form: Form, seed: int, one: int, two: int) -> None:
    """Whatever form I give, the rest is as I gave it, and opened again, the list is the one I gave, byte for byte."""
    messages = _conversation(form, seed)
    before = json.dumps(messages)
    ranges = _ranges(messages, form, one, two)
    ranges = [one for one in ranges if _size(messages, form, one) > 120]  # a block takes 50 tokens beside its text
    if not ranges:
        return
    result = retold.compress(messages, ranges, form=form)
    assert json.dumps(messages) == before
    assert result.tokens == result.receipt.tokens_after < result.receipt.tokens_before
    kept = [message for message in result.messages if "retold-compressed" not in json.dumps(message)]
    rest = iter(messages)
    assert all(message in rest for message in kept)
    assert len(result.messages) == len(kept) + len(result.blocks)
    assert detect_forms(result.messages) in (form, "chat")
    assert all(to_items(message, form=form) for message in result.messages)
    opened = [result.decompress(block.block) for block in result.blocks]
    assert all(one != result.messages for one in opened)
    if len(opened) == 1:
        assert json.dumps(opened[0]) == before


def test_blocks_of_a_list_nest_and_keep_their_names() -> None:
    """A block that an earlier compression made is known again by its id, and may go into the next."""
    messages = _conversation("chat", 3)
    first = retold.compress(messages, [{"first": "i2", "last": "i9", "messages": "the first steps " * 9}])
    assert first.blocks[0].block == "c1"
    view = retold.view(first.messages, window=retold.Window(hard_limit=20_000))
    assert [line.item for line in view.lines][:2] == ["i1", "c1"]
    assert view.lines[1].kind == "compressed"
    second = retold.compress(first.messages, [{"first": "c1", "last": "c1", "messages": "steps"}])
    assert second.blocks[0].block == "c2"
    assert second.decompress("c2") == first.messages
    with pytest.raises(InputError, match="a block of this compression, c2, got 'c1'"):
        second.decompress("c1")


def test_a_block_counts_as_nobodys_word() -> None:
    """A block at the end is not taken for the user's latest message: that is the one before it."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Mend it."},
        {"role": "assistant", "content": "I looked at everything. " * 40},
    ]
    result = retold.compress(messages, [{"first": "i2", "last": "i2", "messages": "looked"}])
    assert [message["role"] for message in result.messages] == ["user", "user"]
    with pytest.raises(InputError, match=r"i1 \(the latest user message\)"):
        retold.compress(result.messages, [{"first": "i1", "last": "c1", "messages": "x"}])
    compacted = retold.compact([*result.messages, *messages], budget_tokens=120)
    assert messages[0] in compacted.messages


def test_an_empty_list_has_nothing_to_compress() -> None:
    """No messages, no range: refused in words; a view of them is empty."""
    with pytest.raises(InputError, match="there is none yet"):
        retold.compress([], [{"first": "i1", "last": "i1", "messages": "x"}])
    assert retold.view([], window=retold.Window(hard_limit=1_000)).lines == ()


@pytest.mark.parametrize("ranges", ["i1", {"first": "i1"}, 3, None], ids=str)
def test_ranges_of_another_shape_are_refused(ranges: Any) -> None:
    """What is no list of ranges is refused by what it is."""
    with pytest.raises(InputError, match="expected a list of ranges"):
        retold.compress([{"role": "user", "content": "x"}], ranges)
