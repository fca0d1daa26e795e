"""`retold.compact`: messages in, fewer messages of the same form out, and everything that left can be had back."""

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.texts import BLOB, CHINESE, EMOJI, OUTPUT, PROSE, TEXTS

import retold
from retold.errors import FloorError, InputError
from retold.events import Form
from retold.formats import detect_forms, to_items
from retold.policy.cutting import cut_middle

_FORMS: tuple[Form, ...] = ("chat", "responses", "anthropic")
_LATEST = "And now run the tests once more, please."


def _chat_turn(chance: random.Random, number: int) -> list[dict[str, Any]]:
    calls = [
        {
            "id": f"c{number}_{nth}",
            "type": "function",
            "function": {"name": "read", "arguments": f'{{"path":"f{nth}"}}'},
        }
        for nth in range(chance.randint(1, 3))
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": chance.choice(TEXTS)} for call in calls]
    return [{"role": "assistant", "content": chance.choice(["", "Let me look."]), "tool_calls": calls}, *results]


def _responses_turn(chance: random.Random, number: int) -> list[dict[str, Any]]:
    ids = [f"c{number}_{nth}" for nth in range(chance.randint(1, 3))]
    return [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thinking"}], "encrypted_content": BLOB},
        *({"type": "function_call", "call_id": name, "name": "read", "arguments": '{"path":"f"}'} for name in ids),
        *({"type": "function_call_output", "call_id": name, "output": chance.choice(TEXTS)} for name in ids),
    ]


def _anthropic_turn(chance: random.Random, number: int) -> list[dict[str, Any]]:
    ids = [f"c{number}_{nth}" for nth in range(chance.randint(1, 3))]
    used = [{"type": "tool_use", "id": name, "name": "read", "input": {"path": "f"}} for name in ids]
    results = [{"type": "tool_result", "tool_use_id": name, "content": chance.choice(TEXTS)} for name in ids]
    return [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, *used]},
        {
            "role": "user",
            "content": [*results, *([{"type": "text", "text": "go on"}] if chance.random() < 0.3 else [])],
        },
    ]


_TURNS = {"chat": _chat_turn, "responses": _responses_turn, "anthropic": _anthropic_turn}


def _conversation(form: Form, seed: int, turns: int = 12) -> list[dict[str, Any]]:
    """Return a conversation in *form*: instructions, a task, turns with tools, now and then the user, a last word."""
    chance = random.Random(seed)
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Never touch the schema."}]
    messages.append({"role": "user", "content": PROSE})
    for number in range(turns):
        messages += _TURNS[form](chance, number)
        if chance.random() < 0.2:
            messages += [{"role": "assistant", "content": chance.choice(TEXTS[2:])}]
            messages += [{"role": "user", "content": chance.choice([CHINESE, EMOJI, "ok"])}]
    return [*messages, {"role": "assistant", "content": "Done."}, {"role": "user", "content": _LATEST}]


def _ids(messages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the ids of the calls and of the results in *messages*, whatever their form."""
    text = json.dumps(messages)
    parts = [*messages, *(part for message in messages for part in _parts(message))]
    calls = [part["id"] for part in parts if part.get("type") in ("function", "tool_use")]
    calls += [part["call_id"] for part in parts if part.get("type") == "function_call"]
    names = ("tool_call_id", "tool_use_id")
    results = [part[name] for part in parts for name in names if name in part]
    results += [part["call_id"] for part in parts if part.get("type") == "function_call_output"]
    assert all(name in text for name in calls)
    return sorted(calls), sorted(results)


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [*(content if isinstance(content, list) else []), *message.get("tool_calls", [])]


@law(90)
@given(st.sampled_from(_FORMS), st.integers(0, 400), st.integers(400, 12_000))
def test_the_result_is_of_the_same_form_within_the_budget_and_complete_in_itself(
    form: Form, seed: int, budget: int
) -> None:
    """Whatever budget I give, I get valid messages of my form within it, every call with its result."""
    messages = _conversation(form, seed)
    given_before = json.dumps(messages)
    result = retold.compact(messages, budget_tokens=budget)
    assert json.dumps(messages) == given_before
    assert detect_forms(result.messages) in (form, "chat")  # messages of plain text could be any
    assert all(to_items(message, form=form) for message in result.messages)
    assert result.tokens <= budget
    assert result.tokens == retold.compact(result.messages, budget_tokens=10**9, form=form).tokens
    calls, results = _ids(result.messages)
    assert calls == results
    assert result.messages == retold.compact(messages, budget_tokens=budget).messages


@law(60)
@given(st.sampled_from(_FORMS), st.integers(0, 400), st.integers(600, 12_000))
def test_messages_that_were_kept_are_equal_to_those_given(form: Form, seed: int, budget: int) -> None:
    """The system prompt, my last message and whatever else was kept are the very messages that I gave, in order."""
    messages = _conversation(form, seed)
    result = retold.compact(messages, budget_tokens=budget)
    kept = [message for message in result.messages if message in messages]
    places, at = [], 0
    for message in kept:
        at = messages.index(message, at) if message in messages[at:] else -1
        places.append(at)
    assert -1 not in places
    assert result.messages[0] == messages[0]
    assert result.messages[-1] == messages[-1]


@pytest.mark.parametrize("form", _FORMS)
def test_messages_that_fit_are_returned_as_they_were(form: Form) -> None:
    """A conversation within the budget comes back equal, and the receipt says that nothing was done."""
    messages = _conversation(form, 1)
    result = retold.compact(messages, budget_tokens=1_000_000)
    assert result.messages == messages
    assert result.tier is None
    assert result.receipt.kept == result.receipt.prefix_kept
    assert result.tokens == result.receipt.tokens_before


@pytest.mark.parametrize("form", _FORMS)
def test_what_left_can_be_had_back(form: Form) -> None:
    """Whatever was offloaded, summarised, cut or dropped, its id gives me the messages that I had."""
    messages = _conversation(form, 3, turns=20)
    originals = json.dumps(messages)
    seen = 0
    for budget in (1_000, 4_000, 8_000, 12_000):
        result = retold.compact(messages, budget_tokens=budget)
        receipt = result.receipt
        for item_id in (*receipt.offloaded, *receipt.summarised, *receipt.dropped, *receipt.cut):
            restored = result.restore(item_id)
            seen += 1
            assert len(restored) == 1
            if form == "responses":
                assert restored[0] in messages
            for part in _parts(restored[0]):
                assert json.dumps(part) in originals
            if isinstance(restored[0].get("content"), str):
                assert json.dumps(restored[0]["content"]) in originals
    assert seen > 20


def test_an_offloaded_chat_result_is_restored_whole() -> None:
    """The placeholder of a long tool output names the id that gives the output back."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": PROSE},
        {"role": "assistant", "content": None, "tool_calls": [_call("early")]},
        {"role": "tool", "tool_call_id": "early", "content": OUTPUT},
        *({"role": "assistant", "content": f"Step {number}."} for number in range(10)),
    ]
    before = retold.compact(messages, budget_tokens=1_000_000).tokens
    result = retold.compact(messages, budget_tokens=before - 100)
    assert result.tier == "offload"
    (item_id,) = result.receipt.offloaded
    assert any(f"restore item {item_id} to read it" in str(message) for message in result.messages)
    assert result.restore(item_id) == [messages[2]]


def _call(name: str) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "grep", "arguments": "{}"}}


def test_an_unknown_id_is_refused() -> None:
    """Asking for an item that never was says which ids there are."""
    result = retold.compact(_conversation("chat", 1), budget_tokens=3_000)
    for item_id in ("i0", "i9999", "s1", "", "x"):
        with pytest.raises(InputError, match="expected the id of an item, i1 to i"):
            result.restore(item_id)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_below_one_token_is_refused(budget: int) -> None:
    """A budget of nothing is a mistake of the caller's, and said so."""
    with pytest.raises(InputError, match="at least 1 token"):
        retold.compact([{"role": "user", "content": "hello"}], budget_tokens=budget)


def test_a_policy_that_does_not_exist_is_refused_by_name() -> None:
    """A policy that I misspelt is named."""
    with pytest.raises(InputError, match="got 'laddder'"):
        retold.compact([], budget_tokens=10, policy="laddder")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got .'ladder'."):
        retold.compact([], budget_tokens=10, policy=["ladder"])  # type: ignore[arg-type]


def test_a_form_that_does_not_exist_is_refused_by_name() -> None:
    """A form that I misspelt is named, with those that there are."""
    with pytest.raises(InputError, match="chat, responses, anthropic, got 'antropic'"):
        retold.compact([{"role": "user", "content": "x"}], budget_tokens=10, form="antropic")  # type: ignore[arg-type]


def test_a_vocabulary_that_does_not_exist_is_refused_by_name() -> None:
    """A vocabulary that I misspelt is named."""
    with pytest.raises(InputError, match="o200k_bas"):
        retold.compact([{"role": "user", "content": "x"}], budget_tokens=10, encoding="o200k_bas")


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("budget", [2_000, 1_000_000])
def test_messages_may_come_from_a_generator(form: Form, budget: int) -> None:
    """Messages that are read from a file or a query, one by one, are compacted like a list of them."""
    messages = _conversation(form, 3)
    result = retold.compact((message for message in messages), budget_tokens=budget)
    assert result.messages == retold.compact(messages, budget_tokens=budget).messages
    assert result.messages


@pytest.mark.parametrize(
    ("messages", "came"),
    [(None, "null"), (5, "a number"), ("hello", "a string"), ({"role": "user"}, "an object"), (b"x", "a Python bytes")],
)
def test_what_are_no_messages_is_refused(messages: Any, came: str) -> None:
    """If I pass something else in the place of messages, I am told what was expected and what came."""
    with pytest.raises(InputError, match=f"expected an iterable of messages, got {came}"):
        retold.compact(messages, budget_tokens=1_000)


@pytest.mark.parametrize("budget", [None, "5", 3.5, True])
def test_a_budget_that_is_no_whole_number_is_refused(budget: Any) -> None:
    """A budget that is not a number of tokens is a mistake of the caller's, and said so."""
    with pytest.raises(InputError, match=f"whole number of tokens as the budget, got {type(budget).__name__}"):
        retold.compact([{"role": "user", "content": "hello"}], budget_tokens=budget)


def test_no_messages_are_no_messages() -> None:
    """An empty list is compacted to an empty list."""
    result = retold.compact([], budget_tokens=10)
    assert result.messages == []
    assert result.tokens == 3


def test_a_last_message_larger_than_the_budget_is_named_as_the_floor() -> None:
    """If my last message alone is too large, I am told what it takes, and nothing is cut from it."""
    messages = [{"role": "user", "content": PROSE * 100}]
    with pytest.raises(FloorError) as floor:
        retold.compact(messages, budget_tokens=500)
    assert retold.compact(messages, budget_tokens=floor.value.floor_tokens).messages == messages


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base", "o200k_harmony"])
def test_every_vocabulary_is_respected(encoding: str) -> None:
    """A budget is one of the vocabulary that I name."""
    messages = [*_conversation("chat", 5), {"role": "user", "content": CHINESE}]
    assert retold.compact(messages, budget_tokens=3_000, encoding=encoding).tokens <= 3_000


def _without_words(message: dict[str, Any]) -> dict[str, Any]:
    """Return *message* without what the user says beside results."""
    if message.get("role") != "user":
        return message
    return {**message, "content": [part for part in message["content"] if part["type"] != "text"]}


@law(30)
@given(st.sampled_from(_FORMS), st.integers(0, 200), st.integers(1_500, 4_000))
def test_a_result_that_is_compacted_again_keeps_my_last_message_and_one_summary(
    form: Form, seed: int, budget: int
) -> None:
    """Compacting what came out, again and again, never summarises my last message away, and leaves one summary."""
    messages = _conversation(form, seed)
    ids: list[str] = []
    for number in range(3):
        messages = retold.compact(messages, budget_tokens=budget, form=form).messages
        assert [message for message in messages if message.get("content") == _LATEST]
        found = re.findall(r'<retold-summary id=."?(s\d+)', json.dumps(messages).replace("\\", ""))
        assert len(found) == len(set(found)) <= 1
        ids += [one for one in found if one not in ids]
        turns = [_TURNS[form](random.Random(nth), 100 * (number + 1) + nth) for nth in range(8)]
        messages += [_without_words(message) for turn in turns for message in turn]
    assert ids == sorted(ids, key=lambda one: int(one[1:]))


def test_a_summary_is_built_on_the_one_before_it() -> None:
    """What a first compaction noted as the goal is still in the second one's summary."""
    turns = _conversation("chat", 1, turns=20)[2:-2]
    messages = [{"role": "user", "content": "First of all, rebuild the payment ledger. " + PROSE}, *turns]
    first = retold.compact([*messages, {"role": "user", "content": "go"}], budget_tokens=2_000).messages
    assert "payment ledger" in json.dumps(first)
    assert not any(str(message["content"]).startswith("First of all") for message in first)
    second = retold.compact([*first, *turns, {"role": "user", "content": "on"}], budget_tokens=2_000).messages
    assert sum("<retold-summary" in str(message["content"]) for message in second) == 1
    assert "payment ledger" in json.dumps(second)


def _legacy_turns(*, long_arguments: bool) -> list[dict[str, Any]]:
    arguments, result = (OUTPUT, "ok") if long_arguments else ("", OUTPUT)
    asked = {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "f", "arguments": json.dumps({"x": arguments})},
    }
    return [asked, {"role": "function", "name": "f", "content": result}] * 14


@pytest.mark.parametrize("long_arguments", [False, True], ids=["results", "arguments"])
@pytest.mark.parametrize("percent", [30, 60, 90])
def test_function_calls_of_before_tool_calls_stay_what_they_are(percent: int, *, long_arguments: bool) -> None:
    """A conversation with `function_call` messages comes back with such messages, offloaded, cut or whole."""
    turns = _legacy_turns(long_arguments=long_arguments)
    messages = [{"role": "user", "content": "go"}, *turns, {"role": "user", "content": "end"}]
    size = retold.compact(messages, budget_tokens=10**9).tokens
    result = retold.compact(messages, budget_tokens=size * percent // 100)
    assert result.tier is not None
    assert not any("tool_calls" in message or "tool_call_id" in message for message in result.messages)
    assert any(message.get("function_call", {}).get("name") == "f" for message in result.messages)
    assert any(message["role"] == "function" and message["name"] == "f" for message in result.messages)


@pytest.mark.parametrize("name", ["o200k_base", "claude-3", "claude-4.8"])
@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 200])
def test_a_text_that_is_short_enough_is_not_cut(name: str, length: int) -> None:
    """Cutting a text never makes it longer than its length and the mark, and says nothing twice."""
    vocabulary = retold.tokens.encoding(name)
    text = "".join(f" {number}" for number in range(length // 2))
    cut = cut_middle(text, length_tokens=10, mark="[cut]", vocabulary=vocabulary)
    if vocabulary.count(text) <= 10:
        assert cut == text
    else:
        assert "[cut]" in cut
        assert vocabulary.count(cut) <= 10 + vocabulary.count(" 1\n[cut]\n 1")


def test_an_image_that_was_cut_leaves_a_mark() -> None:
    """Where an image had to go, the message says so and names the item."""
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    seen = {"role": "user", "content": [image]}
    messages: list[dict[str, Any]] = [
        seen,
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "x"},
    ]
    result = retold.compact(messages, budget_tokens=60)
    assert result.tier == "truncate"
    assert "the whole is item i1 in the log" in result.messages[0]["content"]
    assert result.restore("i1") == [seen]


def _spoil(value: Any) -> None:
    """Change everything in *value* that can be changed."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    for one in list(inner):
        _spoil(one)
    if isinstance(value, dict | list):
        value.clear()


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("budget", [2_000, 1_000_000])
def test_changing_the_result_does_not_change_what_i_gave(form: Form, budget: int) -> None:
    """The messages that come back are mine to change: my own stay as they were."""
    messages = _conversation(form, 2)
    before = json.dumps(messages)
    _spoil(retold.compact(messages, budget_tokens=budget).messages)
    assert json.dumps(messages) == before
