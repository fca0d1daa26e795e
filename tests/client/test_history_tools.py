"""A model manages its history by tool calls, in each provider's form; what it does wrong is told it, not raised."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.logs import HandClock, outcome, worker_on
from tests.laws.settings import law

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import Form, Window
from retold.log import MemoryLog
from retold.policy.history_tools import TOOLS, history_tools

LONG = "FAILED test_x: 1 != 2\n" * 60
FORMS: tuple[Form, ...] = ("chat", "responses", "anthropic")


def _call(form: Form, call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    """Return a tool call as a provider's reply has it."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if form == "chat":
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
    if form == "responses":
        return {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}
    return {"type": "tool_use", "id": call_id, "name": name, "input": json.loads(text)}


def _reply(form: Form, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the model's reply that makes *calls*, as it is appended."""
    if form == "chat":
        return [{"role": "assistant", "content": None, "tool_calls": list(calls)}]
    if form == "responses":
        return list(calls)
    return [{"role": "assistant", "content": list(calls)}]


def _result(form: Form, call_id: str, text: str) -> dict[str, Any]:
    if form == "chat":
        return {"role": "tool", "tool_call_id": call_id, "content": text}
    if form == "responses":
        return {"type": "function_call_output", "call_id": call_id, "output": text}
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": text}]}


def _text(answer: dict[str, Any]) -> str:
    """Return what the model reads of an answer, whatever its form."""
    if "output" in answer:
        return str(answer["output"])
    content = answer["content"]
    return str(content if isinstance(content, str) else content[0]["content"])


def _is_error(answer: dict[str, Any]) -> bool:
    return isinstance(answer.get("content"), list) and bool(answer["content"][0].get("is_error"))


class _Agent:
    """An agent loop whose model is scripted: each step is a reply with calls of the history tools."""

    def __init__(self, session: Session, form: Form) -> None:
        self.session = session
        self.form = form
        self.steps = 0

    async def work(self, text: str = LONG) -> None:
        """Call another tool of the agent's and get a long result."""
        self.steps += 1
        name = f"w{self.steps}"
        await self.session.append_many(_reply(self.form, _call(self.form, name, "run_tests", {})))
        await self.session.append(_result(self.form, name, text))

    async def ask(self, *asked: tuple[str, Any]) -> list[dict[str, Any]]:
        """Let the model make the calls *asked*, in parallel; return the answers, appended."""
        self.steps += 1
        calls = [_call(self.form, f"h{self.steps}_{nth}", *one) for nth, one in enumerate(asked)]
        await self.session.append_many(_reply(self.form, *calls))
        answers = [await self.session.handle_tool_call(call) for call in calls]
        for answer in answers:
            await self.session.append(answer)
        return answers


async def _agent(form: Form, *, steps: int = 4) -> _Agent:
    session = await Client(MemoryLog(), HandClock()).session("s", window=Window(hard_limit=20_000))
    agent = _Agent(session, form)
    await session.append({"role": "system", "content": "RULES"})
    await session.append({"role": "user", "content": "Mend the tests."})
    for _ in range(steps):
        await agent.work()
    return agent


@pytest.mark.parametrize("form", FORMS)
def test_a_model_manages_its_history_by_tools(form: Form) -> None:
    """Shown its history, a model compresses it, has an item back, and all of it, byte for byte, in its own form."""

    async def run() -> None:
        agent = await _agent(form)
        session = agent.session
        originals = (await session.history()).items
        (shown,) = await agent.ask(("show_history", {}))
        lines = _text(shown).splitlines()
        assert lines[0].startswith("Context: ")
        assert "i1 system 6 [stays: system text] RULES" in lines
        assert any(line.startswith("i4 result run_tests ") for line in lines)
        (refused,) = await agent.ask(
            ("compress_history", {"ranges": [{"first": "i2", "last": "i5", "messages": ["two runs failed"]}]})
        )
        assert "i2 (the latest user message)" in _text(refused)
        assert "nearest that may be compressed: i3 to i4" in _text(refused)
        assert _is_error(refused) == (form == "anthropic")
        (done,) = await agent.ask(
            ("compress_history", {"ranges": [{"first": "i3", "last": "i6", "messages": ["two runs failed"]}]})
        )
        block = next(line for line in _text(done).splitlines() if "stands for" in line).split()[0]
        sent = json.dumps((await session.history()).as_form(form))
        assert f'id=\\"{block}\\" items=\\"i3-i6\\"' in sent
        (back,) = await agent.ask(("restore_item", {"item": "i6"}))
        assert _text(back).startswith(f"Back word for word, behind {block}: i5 to i6, 2 entries.")
        (opened,) = await agent.ask(("decompress_history", {"block": block}))
        assert _text(opened).startswith(f"Back word for word, in the place of {block}: i3 to i6, 4 entries.")
        assert (await session.history()).items[: len(originals)] == originals
        await outcome(session._log, session.key)  # noqa: SLF001 - the log is the test's own

    asyncio.run(run())


@pytest.mark.parametrize("form", FORMS)
def test_parallel_calls_are_each_answered(form: Form) -> None:
    """Two compressions in one reply are both done, and the calls themselves are no part of what may go."""

    async def run() -> None:
        agent = await _agent(form)

        def ranges(first: str, last: str) -> dict[str, Any]:
            return {"ranges": [{"first": first, "last": last, "messages": ["failed"]}]}

        answers = await agent.ask(
            ("compress_history", ranges("i3", "i4")),
            ("compress_history", ranges("i5", "i6")),
            ("compress_history", ranges("i9", "i12")),
            ("compress_history", ranges("i3", "i4")),
        )
        told = [_text(answer) for answer in answers]
        assert ["Done." in text for text in told] == [True, True, False, False]
        assert "a call that waits" in told[2]
        assert "got 'i3'" in told[3]
        forms = [entry.form for entry in (await agent.session.history()).entries]
        assert forms[:5] == ["whole", "whole", "compressed", "compressed", "whole"]

    asyncio.run(run())


_MISTAKES: list[tuple[str, Any, str]] = [
    ("compress_history", "{", "JSON object"),
    ("compress_history", "[]", "expected object, got array at the arguments"),
    ("compress_history", {}, "a field 'ranges', got none at the arguments"),
    ("compress_history", {"ranges": {}}, "expected array, got object at ranges"),
    ("compress_history", {"ranges": [{"first": "i3", "last": "i4", "messages": [3]}]}, "ranges[0].messages[0]"),
    (
        "compress_history",
        {"ranges": [{"first": "i3", "last": "i4", "messages": [{"role": "boss", "content": ""}]}]},
        "at",
    ),
    ("compress_history", {"ranges": [], "force": True}, "the tool's own fields"),
    ("show_history", {"first": "i77"}, "got 'i77'"),
    ("show_history", {"first": "i4", "last": "i2"}, "'i4' to 'i2'"),
    ("decompress_history", {"block": "i3"}, "'i3' is whole"),
    ("decompress_history", {"block": "c99"}, "'c99'"),
    ("restore_item", {"item": "i3"}, "'i3' is whole"),
    ("restore_item", {"item": "x" * 300}, "got '"),
]


@pytest.mark.parametrize(("name", "arguments", "told"), _MISTAKES, ids=range(len(_MISTAKES)))
def test_a_models_mistake_is_answered_in_words(name: str, arguments: Any, told: str) -> None:
    """Whatever a model gets wrong, it reads what was expected, what came and where, and nothing has changed."""

    async def run() -> None:
        agent = await _agent("chat")
        before = await agent.session.history()
        answer = await agent.session.handle_tool_call(_call("chat", "c", name, arguments))
        assert answer["content"].startswith("Nothing was changed: expected") or "ranges[0]" in answer["content"]
        assert told in answer["content"]
        assert len(answer["content"]) < 500
        assert await agent.session.history() == before

    asyncio.run(run())


@pytest.mark.parametrize(
    "call",
    [
        _call("chat", "c", "run_tests", {}),
        {"role": "user", "content": "x"},
        {"type": "message", "role": "user", "content": "x"},
        {"type": "tool_use", "id": "c"},
        "compress_history",
    ],
    ids=["other-tool", "message", "responses-message", "no-name", "text"],
)
def test_a_callers_mistake_is_raised(call: Any) -> None:
    """A call of another tool, or what is no call, is my program's mistake: it is raised."""

    async def run() -> None:
        agent = await _agent("chat")
        with pytest.raises(InputError):
            await agent.session.handle_tool_call(call)

    asyncio.run(run())


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["ranges", "first", "last", "messages", "block", "item", "dry_run"])
    return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)


@law(40)
@given(st.sampled_from(TOOLS), st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=6), _nested))
def test_no_arguments_break_the_tools(name: str, arguments: Any) -> None:
    """Whatever JSON a model writes as arguments, it gets an answer."""

    async def run() -> None:
        agent = await _agent("chat", steps=1)
        answer = await agent.session.handle_tool_call(_call("chat", "c", name, json.dumps(arguments)))
        assert answer["role"] == "tool"
        assert answer["content"]

    asyncio.run(run())


@pytest.mark.parametrize("form", FORMS)
def test_the_schemas_are_those_of_the_form(form: Form) -> None:
    """The tools are told to a model as its provider wants them, and a caller may change its copy."""
    tools = history_tools(form)
    held = [tool["function"] if form == "chat" else tool for tool in tools]
    assert [tool["name"] for tool in held] == list(TOOLS)
    assert all(tool["description"] for tool in held)
    schema = held[1]["input_schema" if form == "anthropic" else "parameters"]
    assert schema["required"] == ["ranges"]
    schema["properties"]["ranges"]["items"].clear()
    assert history_tools(form) != tools
    assert Session.tools(form) == history_tools(form)


def test_what_would_not_fit_is_not_brought_back_for_a_model() -> None:
    """A model that asks for more than its window holds is told so, and how to go on."""

    async def run() -> None:
        agent = await _agent("chat", steps=20)
        await agent.ask(("compress_history", {"ranges": [{"first": "i3", "last": "i40", "messages": ["failed"]}]}))
        for _ in range(25):
            await agent.work()
        (answer,) = await agent.ask(("decompress_history", {"block": "c44"}))
        assert "expected a history of at most 18,000 tokens" in _text(answer)

    asyncio.run(run())


def test_a_worker_that_writes_first_does_not_break_a_call() -> None:
    """Compacted in between by a worker, a call is tried again on what is there then."""

    async def run() -> None:
        agent = await _agent("chat")
        session = agent.session
        await session.view()
        await session.request_compaction()
        await worker_on(session._log).drain()  # noqa: SLF001 - the log is the test's own
        (answer,) = await agent.ask(("show_history", {}))
        assert "version 1" in _text(answer)

    asyncio.run(run())
