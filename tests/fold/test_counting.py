"""What an item costs: every text that is sent is counted, wherever it stands, and nothing that is not sent."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import Story
from tests.laws.texts import BLOB, CHINESE, OUTPUT, PROSE, TEXTS

import retold
from retold.errors import FloorError
from retold.events import Block, Form, ItemAppended, ItemExtended, Reasoning, Text, ToolCall, ToolResult, Window
from retold.fold import Tokens, count_item
from retold.formats import to_items
from retold.tokens import RECONSTRUCTIONS, encoding

_VOCABULARY = encoding("o200k_base")


def _tokens(message: dict[str, Any], form: Form) -> Tokens:
    return sum((count_item(item, _VOCABULARY) for item in to_items(message, form=form)), Tokens())


def _blocks(text: str) -> list[tuple[dict[str, Any], Form]]:
    """Return messages that hold *text* in a block of the provider's own, or in a field that has no place of its own."""
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    found = {"type": "search_result", "source": "u", "title": "t", "content": [{"type": "text", "text": text}]}
    cited = {"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": text}]}
    call = {"type": "mcp_call", "id": "m", "server_label": "s", "name": "n", "arguments": "{}", "output": text}
    output = {"type": "function_call_output", "call_id": "c", "output": "ok", "note": text}
    used = {"type": "tool_use", "id": "t", "name": "n", "input": {}, "caller": {"said": text}}
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}
    return [
        ({"role": "user", "content": [document]}, "anthropic"),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [found]}]}, "anthropic"),
        ({"role": "assistant", "content": [cited]}, "anthropic"),
        ({"role": "assistant", "content": [{"type": "web_search_tool_result", "content": text}]}, "anthropic"),
        ({"role": "assistant", "content": [used]}, "anthropic"),
        (call, "responses"),
        (output, "responses"),
        (thought, "responses"),
        ({"role": "tool", "tool_call_id": "c", "content": "ok", "note": text}, "chat"),
        ({"role": "assistant", "content": "x", "reasoning": text, "reasoning_details": [{"text": text}]}, "chat"),
    ]


@pytest.mark.parametrize("text", [CHINESE * 20, PROSE, OUTPUT, "word " * 999], ids="chinese prose output words".split())
def test_readable_text_is_counted_in_whichever_block_or_field_it_stands(text: str) -> None:
    """A text costs at least what the vocabulary says, also inside a block that is kept as it came."""
    least = _VOCABULARY.count(text)
    for message, form in _blocks(text):
        assert least <= _tokens(message, form).upper <= 1.5 * least + 100, message.keys()


@pytest.mark.parametrize("name", RECONSTRUCTIONS)
def test_a_reconstructed_vocabulary_counts_nothing_as_exact(name: str) -> None:
    """What a reconstruction counts in a text is labelled as reconstructed; images stay estimated."""
    vocabulary = encoding(name)
    thought = Reasoning(text=PROSE)
    call = ToolCall(call_id="c", name="read", arguments='{"path": "a"}')
    result = ToolResult(call_id="c", content=(Text(OUTPUT), Block("chat", "image", "{}")))
    for item, texts in ((thought, [PROSE]), (call, ["read", call.arguments]), (result, [OUTPUT])):
        size, by_default = count_item(item, vocabulary), count_item(item, _VOCABULARY)
        words = sum(vocabulary.count(text) for text in texts)
        assert size.exact == 0
        assert size.reconstructed == words + by_default.reconstructed
        assert size.estimated == by_default.estimated


def test_encrypted_reasoning_is_estimated_by_its_size() -> None:
    """An encrypted block costs the model far less than its base64 would as text, and is not counted as text."""
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": BLOB * 4}
    assert _tokens(sealed, "responses").upper < len(BLOB * 4) / 4


@pytest.mark.parametrize("form", ["chat", "responses", "anthropic"])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_how_a_message_was_written_costs_nothing(role: str, form: Form) -> None:
    """A text as a string and the same text as a list of one part cost the same."""
    kind = "text" if form != "responses" else "input_text" if role == "user" else "output_text"
    as_text = _tokens({"role": role, "content": "hi"}, form)
    assert _tokens({"role": role, "content": [{"type": kind, "text": "hi"}]}, form) == as_text
    assert _tokens({"role": role, "content": [{"type": kind, "text": "hi"}], "type": "message"}, form).exact == 1


def _marked(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Return a turn in Anthropic form with fields of every kind that are kept beside the text."""
    cached = {"cache_control": {"type": "ephemeral"}}
    said = {"type": "text", "text": chance.choice(TEXTS), "citations": [{"cited_text": chance.choice(TEXTS)}]}
    used = {"type": "tool_use", "id": f"t{number}", "name": "read", "input": {"p": chance.choice(TEXTS)}, **cached}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": chance.choice(TEXTS), **cached}
    return [
        {"role": "assistant", "content": [said, used], "stop_reason": "tool_use"},
        {"role": "user", "content": [result, {"type": "text", "text": "go on"}]},
    ]


@law(60)
@given(st.integers(0, 300), st.integers(5, 110))
def test_the_size_of_a_result_is_what_a_recount_of_its_messages_gives(seed: int, percent: int) -> None:
    """Whatever fields my messages carry, the tokens that I am told are those of the messages that I get."""
    chance = random.Random(seed)
    turns = [message for number in range(10) for message in _marked(chance, number)]
    messages = [{"role": "user", "content": [{"type": "text", "text": PROSE}]}, *turns]
    size = retold.compact(messages, budget_tokens=10**9, form="anthropic").tokens
    try:
        result = retold.compact(messages, budget_tokens=size * percent // 100, form="anthropic")
    except FloorError:
        return
    assert result.tokens == retold.compact(result.messages, budget_tokens=10**9, form="anthropic").tokens


def test_reasoning_that_begins_empty_is_counted_as_it_grows() -> None:
    """Unsigned and without a word it is sent to nobody and takes nothing; with its first word it has its marks."""
    story = Story(Window(hard_limit=10_000))
    story.write(ItemAppended(item=Reasoning(form="anthropic")))
    assert story.context.entries[-1].tokens == Tokens()
    for text in ("", "Look at ", "the parser."):
        story.write(ItemExtended(text=text))
        entry = story.context.entries[-1]
        assert entry.tokens == count_item(entry.item, _VOCABULARY)
