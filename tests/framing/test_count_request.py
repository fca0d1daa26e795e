"""Counting whole requests: against what providers charged, in every form, with tools, pictures and nonsense."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import Story, whole_stories
from tests.laws.texts import PROSE

import retold
from retold.errors import InputError
from retold.events import Form
from retold.fold import Tokens
from retold.formats import complete, render

CALL = {"id": "c1", "type": "function", "function": {"name": "get_capital", "arguments": '{"country":"France"}'}}
PARAMETERS = {
    "type": "object",
    "properties": {"country": {"type": "string", "description": "The country name."}},
    "required": ["country"],
    "additionalProperties": False,
}
TOOL = {"name": "get_capital", "description": "Get the capital of a country.", "parameters": PARAMETERS}
CHAT: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "Paris"},
        {"role": "assistant", "content": "The capital of France is Paris.\n"},
        {"role": "user", "content": "What is the capital of England?"},
    ],
    "tools": [{"type": "function", "function": TOOL}],
    "tool_choice": "auto",
}
SUMS = "You are a helpful math assistant. Give short answers."
TOLD = (
    "Call first_tool. After receiving its result, call second_tool in a new model response. After receiving that "
    "result, answer with both results. Never call both tools in one response."
)
EMPTY = {"type": "object", "properties": {}, "additionalProperties": False}
TWO = [{"type": "function", "name": name, "parameters": EMPTY} for name in ("first_tool", "second_tool")]
FIRST = [
    {"type": "function_call", "call_id": "c1", "name": "first_tool", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "first result"},
]
ASKED = {"role": "user", "content": "Follow the tool instructions."}
CHARGED: list[tuple[dict[str, Any], int]] = [
    (CHAT, 104),
    ({"model": "gpt-4.1", "input": "What is 2+2?"}, 14),
    ({"model": "gpt-4o-mini", "input": [{"role": "user", "content": "What is 2+2?"}], "instructions": SUMS}, 29),
    ({"model": "openai.gpt-5.6-luna", "input": [ASKED], "instructions": TOLD, "tools": TWO}, 88),
    ({"model": "openai.gpt-5.6-luna", "input": [ASKED, *FIRST], "instructions": TOLD, "tools": TWO}, 115),
]
"""Requests and the input tokens that OpenAI reported for them."""


@pytest.mark.parametrize(("body", "charged"), CHARGED)
def test_a_request_takes_what_openai_charged_for_it(body: dict[str, Any], charged: int) -> None:
    """What I count before I send is what I am charged, to within one token, and certainly within the bounds."""
    size = retold.count_request(body)
    assert abs(size.tokens - charged) <= 1
    assert size.lower <= charged <= size.upper
    assert size.label == "reconstructed"


def test_a_body_and_its_parts_are_the_same_request() -> None:
    """I may give the body that I send, or the messages and the tools apart."""
    apart = retold.count_request(iter(CHAT["messages"]), tools=iter(CHAT["tools"]), model="gpt-4o-mini")
    assert apart == retold.count_request(CHAT)
    assert apart.counted == apart.system + apart.messages + apart.tools


def test_it_is_shown_where_the_tokens_are() -> None:
    """System text, messages and tools have each their own size, and the system text of each form is found."""
    messages = [{"role": "user", "content": "Hello."}]
    bodies: list[dict[str, Any]] = [
        {"messages": [{"role": "system", "content": PROSE}, *messages]},
        {"instructions": PROSE, "input": messages},
        {"input": [{"type": "message", "role": "developer", "content": PROSE}, *messages]},
        {"system": [{"type": "text", "text": PROSE}], "messages": messages},
        {"system": PROSE, "messages": messages},
    ]
    sizes = [retold.count_request(body) for body in bodies]
    assert [size.form for size in sizes] == ["chat", "responses", "responses", "anthropic", "anthropic"]
    assert len({size.system.total for size in sizes}) == len({size.messages.total for size in sizes}) == 1
    assert all(size.tools == Tokens() for size in sizes)
    assert sizes[0].system.exact == sizes[3].system.estimated > 0


def test_claude_s_text_is_estimated_by_another_vocabulary_and_exact_by_its_own(tmp_path: Path) -> None:
    """Only a provider's own vocabulary counts its text exactly, and the label says so."""
    body = {"system": PROSE, "messages": [{"role": "user", "content": PROSE}]}
    size = retold.count_request(body)
    assert (size.label, size.counted.exact) == ("estimated", 0)
    models = ("claude-sonnet-4-5", "claude-opus-5")
    known, unknown = (retold.count_request(body, model=model, encoding="o200k_base") for model in models)
    assert known.upper < unknown.upper == size.upper
    words = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"}}
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**words, "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": []}))
    own = retold.count_request(body, encoding=retold.tokens.from_file(file))
    assert (own.label, own.counted.estimated) == ("reconstructed", 0)


@pytest.mark.parametrize(("model", "name"), [("claude-sonnet-4-5", "claude-3"), ("claude-opus-5", "claude-4.8")])
def test_a_claude_model_is_counted_by_its_reconstruction(model: str, name: str) -> None:
    """Where the model is known to be Claude, text is counted as Claude counts, and labelled as reconstructed."""
    body = {"system": PROSE, "messages": [{"role": "user", "content": PROSE}], "model": model}
    size = retold.count_request(body)
    assert size == retold.count_request(body, encoding=name)
    assert (size.label, size.counted.exact, size.counted.estimated) == ("reconstructed", 0, 0)
    marks = size.counted.total - 2 * retold.tokens.encoding(name).count(PROSE)
    assert marks == retold.count_request({**body, "model": "gpt-5"}, form="anthropic").counted.reconstructed


def test_another_provider_s_model_is_not_counted_exactly_by_openai_s_vocabulary() -> None:
    """A chat request to a model with a vocabulary of its own is labelled so."""
    messages = [{"role": "user", "content": PROSE}]
    labels = {model: retold.count_request(messages, model=model).label for model in ("", "o3", "deepseek-v4", "qwen3")}
    assert labels == {"": "reconstructed", "o3": "reconstructed", "deepseek-v4": "estimated", "qwen3": "estimated"}


def test_claude_s_tools_take_their_schemas_and_a_prompt_by_generation() -> None:
    """Anthropic adds a prompt of its own where there are tools; its own tools have their published sizes."""
    messages = [{"role": "user", "content": "Hello."}]
    tool = {"name": "get_capital", "description": "Get it.", "input_schema": PARAMETERS}
    old, new = (retold.count_request(messages, tools=[tool], model=model) for model in ("claude-3-opus", "claude-5"))
    assert (old.form, old.tools.reconstructed, new.tools.reconstructed) == ("anthropic", 530, 346)
    forced = {"messages": messages, "tools": [tool], "tool_choice": {"type": "any"}}
    assert retold.count_request(forced).tools.reconstructed == 313
    assert new.tools.estimated > 40
    bash = retold.count_request(messages, tools=[{"type": "bash_20250124", "name": "bash"}], form="anthropic")
    assert bash.tools.estimated == 245


def test_tools_that_are_no_functions_are_estimated() -> None:
    """Custom tools count by their grammar, hosted ones by a fixed size, and the label says that nobody knows."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": PROSE}
    custom = {"type": "custom", "name": "patch", "description": "Patch it.", "format": grammar}
    plain = retold.count_request({"input": "Hello."})
    size = retold.count_request({"input": "Hello.", "tools": [custom, {"type": "web_search"}]})
    assert plain.label == "reconstructed"
    assert size.label == "estimated"
    assert size.tools.estimated > retold.tokens.encoding("o200k_base").count(PROSE)
    assert size.upper - size.tokens > plain.upper - plain.tokens


def test_a_picture_counts_by_its_size() -> None:
    """A small picture in my request takes less than one whose size nobody knows."""
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
    known: dict[str, Any] = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{dot}"}}
    unknown = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    small, large = (retold.count_request([{"role": "user", "content": [part]}]) for part in (known, unknown))
    assert small.counted.estimated == 255
    assert large.counted.estimated == 1_844
    seen = {"role": "tool", "tool_call_id": "c", "content": [known]}
    assert retold.count_request([seen]).counted.estimated == 255


@law(60)
@given(whole_stories())
def test_every_history_can_be_counted_as_it_is_sent(story: Story) -> None:
    """Whatever I may send of a session, in any form, has a size within its bounds, and one more adds to it."""
    forms: tuple[Form, ...] = ("chat", "responses", "anthropic")
    for form in forms:
        messages = render(complete((entry.item for entry in story.context.entries), form), form)
        size = retold.count_request(messages, form=form)
        assert 0 < size.lower <= size.tokens <= size.upper
        said = {"role": "user", "content": "One more."}
        assert retold.count_request([*messages, said], form=form).tokens > size.tokens


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "messages or input, got neither"),
        ({"messages": [], "input": []}, "got messages and input"),
        ({"messages": "Hello."}, "got a string at messages"),
        ("Hello.", "got a string"),
        (7, "got a number"),
        ({"messages": [], "tools": {}}, "a list of tools at tools"),
        ({"messages": [], "tools": ["x"]}, r"an object at tools\[0\]"),
        ({"messages": [], "tools": [{"type": "function"}]}, r"a string at tools\[0\].name"),
        ({"input": [], "instructions": 7}, "a string at instructions"),
        ([{"role": "nobody", "content": "x"}], "expected role"),
    ],
)
def test_what_is_no_request_is_refused(request_: Any, expected: str) -> None:
    """When I give something else, I am told what was expected and where."""
    with pytest.raises(InputError, match=expected):
        retold.count_request(request_)


LOOP: dict[str, Any] = {"type": "object"}
LOOP["anyOf"] = [LOOP, LOOP]
DEEP: Any = "\ud800"
for _ in range(900):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("messages", "options", "expected"),
    [
        ([None], {"form": "chat"}, "an object at the message, got null"),
        ([[["role", "user"]]], {"form": "anthropic"}, "an object at the message, got a list"),
        (["x"], {"form": "responses"}, "an object at the message, got a string"),
        ([], {"tools": 5}, "a list of tools at tools, got a number"),
        ([], {"tools": {"name": "f"}}, "a list of tools at tools, got an object"),
        ([], {"tools": [{"name": "f", "parameters": LOOP}]}, r"JSON values .* in tools\[0\]"),
        ([], {"tools": [{"name": "f", "description": "\ud800"}]}, r"at tools\[0\].description, got a lone surrogate"),
        ([], {"model": 5}, "a model's name at model, got a number"),
        ([], {"encoding": 5}, "an encoding or its name, got a number"),
        ([{"role": "user", "content": "x", "more": DEEP}], {}, "that UTF-8 can carry at the message"),
    ],
)
def test_an_argument_of_another_type_is_refused_by_name(messages: Any, options: Any, expected: str) -> None:
    """Whatever I give for a message, a tool, a model or an encoding, the error is mine to mend and says where."""
    with pytest.raises(InputError, match=expected):
        retold.count_request(messages, **options)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "role content type text input messages tools model system instructions name arguments tool_calls id "
                "function image_url url source data output call_id tool_use_id functions response_format".split()
            )
            | st.text(max_size=2)
            | st.integers(),
            inner | st.sampled_from(["user", "assistant", "tool", "text", "image_url", "tool_use", "function", "file"]),
            max_size=5,
        )
    ),
    max_leaves=15,
)


@law(400)
@given(_ODD, st.sampled_from(["body", "messages", "input", "part", "tool"]), st.sampled_from(get_args(Form)))
def test_anything_is_counted_within_its_bounds_or_refused(odd: Any, place: str, form: Form) -> None:
    """Whatever a request holds, and wherever, I get a size or an error that is mine to mend."""
    said = {"role": "user", "content": "Hello."}
    requests: dict[str, Any] = {
        "body": odd,
        "messages": {"messages": [said, odd]},
        "input": {"input": [odd]},
        "part": [{"role": "user", "content": [odd]}],
        "tool": {"messages": [said], "tools": [odd], "response_format": odd},
    }
    try:
        size = retold.count_request(requests[place], form=form)
    except InputError:
        return
    assert 0 <= size.lower <= size.tokens <= size.upper
    assert size.counted == size.system + size.messages + size.tools
    assert (size.label == "estimated") == (size.counted.estimated > 0)


def test_an_early_openai_model_is_counted_by_its_own_vocabulary() -> None:
    """GPT-4 and GPT-3.5 have another vocabulary than what came after them; no other counts them exactly."""
    messages = [{"role": "user", "content": "Straßenbahnhaltestelle " * 20}]
    early = {model: retold.count_request(messages, model=model) for model in ("gpt-4", "gpt-35-turbo", "ft:gpt-4-0613")}
    late = [retold.count_request(messages, model=model) for model in ("gpt-4o", "gpt-4.1", "ft:gpt-4o-mini:x", "")]
    assert {size.tokens for size in early.values()} == {
        retold.count_request(messages, model="gpt-4", encoding="cl100k_base").tokens
    }
    assert early["gpt-4"].tokens > late[0].tokens == late[-1].tokens
    assert {size.label for size in (*early.values(), *late)} == {"reconstructed"}
    for model, encoding in (("gpt-4", "o200k_base"), ("gpt-4o", "cl100k_base")):
        assert retold.count_request(messages, model=model, encoding=encoding).label == "estimated"


def test_functions_of_before_there_were_tools_are_counted() -> None:
    """A request in the early way takes as much as the same in today's."""
    messages = CHAT["messages"]
    late = {"messages": messages, "tools": CHAT["tools"], "tool_choice": "required"}
    early = {"messages": messages, "functions": [TOOL]}
    assert retold.count_request(early).tools == retold.count_request(late).tools != Tokens()


def test_the_schema_of_an_answer_is_counted_wherever_the_form_has_it() -> None:
    """When I ask for an answer of a shape, its schema is in the size, and the label says that it is estimated."""
    shape = {"name": "capital", "schema": PARAMETERS, "strict": True}
    told = {"type": "json_schema", **shape}
    plain = {"model": "gpt-4.1", "input": "What is 2+2?"}
    sizes = [
        retold.count_request({**plain, "text": {"format": told}}),
        retold.count_request(
            {"messages": [ASKED], "response_format": {"type": "json_schema", "json_schema": shape}},
        ),
        retold.count_request({"messages": [ASKED], "output_format": told}, form="anthropic"),
        retold.count_request({"messages": [ASKED], "output_config": {"format": told}}, form="anthropic"),
    ]
    assert {size.system.estimated for size in sizes} == {sizes[0].system.estimated}
    assert sizes[0].system.estimated > 30
    assert {size.label for size in sizes} == {"estimated"}
    assert retold.count_request({**plain, "text": {"format": {"type": "text"}}}) == retold.count_request(plain)


def test_a_file_may_cost_much_less_than_its_bytes() -> None:
    """Providers count the pages of a file, and nobody reads them here: the least that it takes is nothing."""
    data = "QUJD" * 10_000
    parts: list[tuple[Form, dict[str, Any]]] = [
        ("anthropic", {"type": "document", "source": {"type": "base64", "data": data}}),
        ("chat", {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}),
        ("responses", {"type": "input_file", "file_data": f"data:application/pdf;base64,{data}"}),
    ]
    for form, part in parts:
        size = retold.count_request([{"role": "user", "content": [part]}], form=form)
        assert size.lower < 20
        assert 5_000 < size.tokens < size.upper


def test_tools_given_twice_and_unknown_forms_are_refused() -> None:
    """Two answers to one question are an error of mine, not something to guess at."""
    with pytest.raises(InputError, match="got both"):
        retold.count_request(CHAT, tools=CHAT["tools"])
    with pytest.raises(InputError, match="a form among"):
        retold.count_request(CHAT, form="smoke")  # type: ignore[arg-type]
