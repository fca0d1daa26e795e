"""Messages of the three forms: what their items are, how bundles are written, what another form gets."""

import json
from typing import Any

from retold.events.items import Block, Form, Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from retold.formats import render, split_system, to_items


def _items(*messages: dict[str, Any], form: Form) -> list[Item]:
    return [item for message in messages for item in to_items(message, form=form)]


def test_a_chat_message_with_parallel_calls_gives_items_of_one_group() -> None:
    """Reasoning, text and calls of one response are separate items that share a group."""
    calls = [{"id": f"call_{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}} for n in (1, 2)]
    message = {"role": "assistant", "content": "wait", "reasoning_content": "hm", "tool_calls": calls}
    assert to_items(message) == (
        Reasoning(text="hm", form="chat", group="call_1#4"),
        Message(role="assistant", content=(Text("wait"),), group="call_1#4"),
        ToolCall(call_id="call_1", name="look", arguments="{}", group="call_1#4"),
        ToolCall(call_id="call_2", name="look", arguments="{}", group="call_1#4"),
    )


def test_a_lone_call_is_one_item_without_a_group() -> None:
    """A message that is nothing but one call needs no group."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    (item,) = to_items({"role": "assistant", "content": None, "tool_calls": [call]})
    assert item == ToolCall(call_id="a", name="look", arguments="{}")


def test_an_image_is_kept_as_the_json_that_came() -> None:
    """A part that is not text is a block that holds its JSON, whatever is in it."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "high"}}
    (message,) = to_items({"role": "user", "content": [{"type": "text", "text": "see"}, part]})
    assert isinstance(message, Message)
    block = message.content[1]
    assert isinstance(block, Block)
    assert (block.form, block.kind, json.loads(block.body)) == ("chat", "image_url", part)


def test_a_compaction_item_is_opaque_and_comes_back_unchanged() -> None:
    """What only the provider reads is kept as it came and sent back as it came."""
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA+/=="}
    (opaque,) = to_items(item)
    assert isinstance(opaque, Opaque)
    assert (opaque.form, opaque.kind) == ("responses", "compaction")
    assert render([opaque], "responses") == [item]


def test_an_unknown_responses_item_is_opaque() -> None:
    """A type that no release knows is kept, not refused."""
    assert isinstance(to_items({"type": "of_tomorrow", "n": 1})[0], Opaque)


def test_a_signed_thinking_block_comes_back_byte_for_byte() -> None:
    """A signature is valid only for the very bytes that were signed, so the block is never written anew."""
    block = {"type": "thinking", "thinking": "é ☃ \u2028", "signature": "Ep+/A=="}
    message = {"role": "assistant", "content": [block, {"type": "text", "text": "so"}]}
    reasoning, said = to_items(message)
    assert isinstance(reasoning, Reasoning)
    assert reasoning.text == "é ☃ \u2028"
    assert reasoning.group == said.group
    assert render([reasoning, said], "anthropic") == [message]


def test_the_readable_summary_of_encrypted_reasoning_is_its_text() -> None:
    """People read the summary; the provider gets the encrypted item."""
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "encrypted_content": "x",
    }
    (reasoning,) = to_items(item)
    assert isinstance(reasoning, Reasoning)
    assert reasoning.text == "a\nb"


def test_results_of_parallel_calls_are_one_anthropic_message() -> None:
    """The API wants all results in the message after the calls, so separate results are written together."""
    results = [ToolResult(call_id=one, content=(Text(one),)) for one in ("a", "b")]
    calls: list[Item] = [ToolCall(call_id=one, name="look", arguments="{}") for one in ("a", "b")]
    written = render([*calls, *results], "anthropic")
    assert [message["role"] for message in written] == ["assistant", "user"]
    assert [block["tool_use_id"] for block in written[1]["content"]] == ["a", "b"]
    assert [block["id"] for block in written[0]["content"]] == ["a", "b"]


def test_neighbouring_calls_are_one_chat_message() -> None:
    """A provider refuses a call whose result does not follow at once, so parallel calls are written together."""
    calls = [ToolCall(call_id=one, name="look", arguments="{}") for one in ("a", "b")]
    assert [len(message["tool_calls"]) for message in render(calls, "chat")] == [2]


def test_texts_of_different_responses_stay_apart() -> None:
    """Two assistant messages in a row remain two."""
    said = [Message(role="assistant", content=(Text(one),)) for one in ("a", "b")]
    assert len(render(said, "chat")) == len(render(said, "anthropic")) == 2


def test_a_failed_result_says_so_in_anthropic_form() -> None:
    """The mark that a tool failed is kept."""
    message = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "a", "content": "no", "is_error": True}],
    }
    (result,) = to_items(message)
    assert isinstance(result, ToolResult)
    assert result.is_error
    assert render([result], "anthropic") == [message]


def test_images_are_translated_between_all_forms() -> None:
    """The same picture can be shown to another provider."""
    url = "data:image/png;base64,iVBO"
    shown: dict[Form, dict[str, Any]] = {
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "responses": {"type": "input_image", "image_url": url},
        "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
    }
    for source, part in shown.items():
        items = to_items({"role": "user", "content": [part]}, form=source)
        for target, expected in shown.items():
            assert render(items, target)[0]["content"] == [expected]


def test_an_image_address_is_translated_too() -> None:
    """A picture that is named by its address keeps it."""
    part = {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}
    written = render(to_items({"role": "user", "content": [part]}), "anthropic")
    assert written[0]["content"][0]["source"] == {"type": "url", "url": "https://example.invalid/a.png"}


def test_a_document_leaves_a_mark_in_another_form() -> None:
    """What cannot be translated is not dropped in silence: a short text stands in its place."""
    part = {"type": "document", "source": {"type": "text", "data": "secret"}}
    written = render(to_items({"role": "user", "content": [part]}), "chat")
    assert written == [
        {"role": "user", "content": [{"type": "text", "text": "[document: cannot be shown in this form]"}]}
    ]


def test_reasoning_and_opaque_blocks_are_not_sent_to_another_provider() -> None:
    """Nobody but its provider reads an encrypted block, and another provider would refuse it."""
    items: list[Item] = [
        Reasoning(text="hm", form="responses", body='{"type":"reasoning","summary":[]}'),
        Opaque(form="responses", kind="compaction", body='{"type":"compaction"}'),
        Message(role="assistant", content=(Text("hi"),)),
    ]
    assert render(items, "chat") == render(items, "anthropic") == [{"role": "assistant", "content": "hi"}]


def test_fields_of_one_provider_are_not_sent_to_another() -> None:
    """An unknown field would be refused, so it only ever goes back where it came from."""
    message = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    items = to_items(message, form="anthropic")
    assert render(items, "anthropic") == [message]
    assert render(items, "chat") == [{"role": "user", "content": "hi"}]


def test_an_empty_text_beside_calls_is_not_sent_to_anthropic() -> None:
    """The API refuses empty text blocks, which Chat providers write beside calls."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    items = to_items({"role": "assistant", "content": "", "tool_calls": [call]})
    (message,) = render(items, "anthropic")
    assert [block["type"] for block in message["content"]] == ["tool_use"]


def test_arguments_that_are_no_object_are_wrapped_for_anthropic() -> None:
    """The API wants an object as input; what the model wrote instead is not lost."""
    calls = [
        ToolCall(call_id="a", name="look", arguments='{"cut'),
        ToolCall(call_id="b", name="patch", arguments="free text", kind="custom"),
    ]
    (message,) = render(calls, "anthropic")
    assert [block["input"] for block in message["content"]] == [{"arguments": '{"cut'}, {"input": "free text"}]


def test_system_and_developer_messages_split_off_as_anthropics_system_parameter() -> None:
    """Anthropic takes the system prompt apart from the messages."""
    items = _items(
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "hi"},
        form="chat",
    )
    system, messages = split_system(render(items, "anthropic"))
    assert system == [{"type": "text", "text": "be kind"}, {"type": "text", "text": "be brief"}]
    assert messages == [{"role": "user", "content": "hi"}]


def test_a_legacy_function_call_and_its_result_share_an_id() -> None:
    """Function calls of before tools had ids still pair with their results."""
    call, result = _items(
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "seen"},
        form="chat",
    )
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.call_id == result.call_id


def test_items_whose_text_was_cut_are_still_written() -> None:
    """A compaction may change an item's content without knowing the shape that it came in."""
    message = {"role": "user", "content": [{"type": "text", "text": "a", "x": 1}, {"type": "text", "text": "b"}]}
    (item,) = to_items(message, form="chat")
    assert isinstance(item, Message)
    cut = Message(role="user", content=(Text("…"),), extra=item.extra)
    assert render([cut], "chat") == [{"role": "user", "content": "…"}]


def test_the_documented_normalisations_are_the_only_ones() -> None:
    """A call without a type or with an object as arguments is written as the API wants it."""
    call = {"id": "a", "function": {"name": "look", "arguments": {"n": 1}}}
    items = to_items({"role": "assistant", "tool_calls": [call]}, form="chat")
    written = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}}
    assert render(items, "chat") == [{"role": "assistant", "content": None, "tool_calls": [written]}]


def test_an_image_address_with_a_comma_stays_an_address() -> None:
    """Only base64 data are unpacked; any other address is passed on whole."""
    for url in ("https://example.invalid/a,b.png", "data:image/svg+xml,<svg/>"):
        part = {"type": "image_url", "image_url": {"url": url}}
        written = render(to_items({"role": "user", "content": [part]}), "anthropic")
        assert written[0]["content"][0]["source"] == {"type": "url", "url": url}


def test_an_image_that_is_only_a_file_id_leaves_a_mark() -> None:
    """A file that lives with one provider has no address that another could follow."""
    for source in ({"type": "file", "file_id": "f"}, None):
        items = to_items({"role": "user", "content": [{"type": "image", "source": source}]})
        assert "cannot be shown" in render(items, "chat")[0]["content"][0]["text"]


def test_reasoning_that_is_only_text_is_a_summary_in_responses_form() -> None:
    """Reasoning that was built by hand, without a provider's block, is written as a readable summary."""
    written = render([Reasoning(text="hm"), Reasoning()], "responses")
    assert written == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "reasoning", "summary": []},
    ]


def test_an_empty_message_beside_reasoning_is_not_sent_to_another_provider() -> None:
    """A message that only held reasoning says nothing where the reasoning cannot go."""
    items = to_items({"role": "assistant", "content": None, "reasoning_content": "hm"})
    assert render(items, "responses") == render(items, "anthropic") == []
