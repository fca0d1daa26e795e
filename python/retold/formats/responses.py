"""Items of the Responses API, both ways. One item is one item.

Reading keeps messages, calls and results as such; reasoning keeps its readable summary as text and the whole item as it
came; every other type (compaction, hosted tools, references and what comes tomorrow) is opaque and kept as it came.
Writing gives the same item again, without normalisations. A message may be read without `type`; it is written the
same way. An output that is one object is read too: early Codex wrote ``{"content": text, "success": bool}``, some
tools one bare part.

What this form cannot hold: another form's reasoning and opaque blocks are left out (nobody but their provider reads
them); images are translated, for every other foreign block a short text stands in its place; a message's `name` and a
result's `is_error` have no field. A foreign assistant message without content is left out: it says nothing here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, assert_never, get_args

from retold.errors import InputError
from retold.events.items import Item, Message, Opaque, Part, Reasoning, Speaker, Text, ToolCall, ToolResult
from retold.formats.expect import NOTHING, leftover, read_string
from retold.formats.json_text import read_body, read_extra, write_extra, write_json
from retold.formats.parts import Dialect, Shape, read_content, read_part, speaker_of, write_content

_TEXTS: Final = frozenset({"input_text", "output_text", "text"})
_INPUT: Final = Dialect(form="responses", text="input_text", texts=_TEXTS, plain=False)
_OUTPUT: Final = Dialect(form="responses", text="output_text", texts=_TEXTS, plain=False, images=False)
_RESULT: Final = Dialect(form="responses", text="input_text", texts=_TEXTS, plain=True)


def read_message(message: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the one item that a Responses item is; InputError names the path of what is wrong."""
    kind = message.get("type", "message" if "role" in message else NOTHING)
    match kind:
        case "message":
            return (_read_message(message),)
        case "function_call" | "custom_tool_call":
            return (_read_call(message, kind="function" if kind == "function_call" else "custom"),)
        case "function_call_output" | "custom_tool_call_output":
            return (_read_result(message, kind="function" if kind == "function_call_output" else "custom"),)
        case "reasoning":
            return (Reasoning(text=_reasoning_text(message), form="responses", body=write_json(dict(message))),)
        case _:
            return (Opaque(form="responses", kind=read_string(message, "type"), body=write_json(dict(message))),)


def _read_message(message: Mapping[str, Any]) -> Message:
    role = read_string(message, "role")
    if role not in get_args(Speaker):
        raise InputError("expected role to be system, developer, user or assistant, got another string")
    dialect = _OUTPUT if role == "assistant" else _INPUT
    content, shape = read_content(message.get("content", NOTHING), dialect, at="content")
    fields = leftover(message, ("type", "role", "content"))
    untyped = None if "type" in message else True
    extra = write_extra("responses", message=fields, content=shape, untyped=untyped)
    return Message(role=message["role"], content=content, extra=extra)


def _read_call(message: Mapping[str, Any], *, kind: Literal["function", "custom"]) -> ToolCall:
    text = "arguments" if kind == "function" else "input"
    return ToolCall(
        call_id=read_string(message, "call_id"),
        name=read_string(message, "name"),
        arguments=read_string(message, text),
        kind=kind,
        extra=write_extra("responses", item=leftover(message, ("type", "call_id", "name", text))),
    )


def _read_result(message: Mapping[str, Any], *, kind: Literal["function", "custom"]) -> ToolResult:
    raw = message.get("output", NOTHING)
    whole: str | None = None
    content: tuple[Part, ...]
    shape: Shape
    if not isinstance(raw, dict):
        content, shape = read_content(raw, _RESULT, at="output")
    elif "type" not in raw and isinstance(raw.get("content"), str):
        content, shape, whole = (Text(raw["content"]),), [leftover(raw, ("content",))], "early"
    else:
        part, left = read_part(raw, _RESULT, at="output")
        content, shape, whole = (part,), [left], "part"
    fields = leftover(message, ("type", "call_id", "output"))
    extra = write_extra("responses", item=fields, content=shape, whole=whole)
    return ToolResult(call_id=read_string(message, "call_id"), content=content, kind=kind, extra=extra)


def _reasoning_text(message: Mapping[str, Any]) -> str:
    """Return the readable summary, or the readable reasoning where there is no summary; may be empty."""
    for name in ("summary", "content"):
        parts = message.get(name)
        texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        if any(texts):
            return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def render(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Return *items* as Responses items, in order; see the module for what is left out."""
    written = (_write(item) for item in items)
    return [item for item in written if item is not None]


def _write(item: Item) -> dict[str, Any] | None:
    match item:
        case Message():
            return _write_message(item)
        case ToolCall():
            return _write_call(item)
        case ToolResult():
            return _write_result(item)
        case Reasoning():
            return _write_reasoning(item)
        case Opaque():
            return read_body(item.body) if item.form == "responses" else None
        case _:
            assert_never(item)


def _write_message(message: Message) -> dict[str, Any] | None:
    kept = read_extra(message.extra, "responses")
    if not message.content and message.role == "assistant" and not kept:
        return None
    dialect = _OUTPUT if message.role == "assistant" else _INPUT
    kind = {} if kept.get("untyped") else {"type": "message"}
    content = write_content(message.content, kept.get("content"), dialect)
    return {**kind, "role": speaker_of(message), "content": content, **kept.get("message", {})}


def _write_call(call: ToolCall) -> dict[str, Any]:
    kept = read_extra(call.extra, "responses")
    kind, text = ("function_call", "arguments") if call.kind == "function" else ("custom_tool_call", "input")
    return {"type": kind, "call_id": call.call_id, "name": call.name, text: call.arguments, **kept.get("item", {})}


def _write_result(result: ToolResult) -> dict[str, Any]:
    kept = read_extra(result.extra, "responses")
    kind = "function_call_output" if result.kind == "function" else "custom_tool_call_output"
    shape = kept.get("content")
    output = write_content(result.content, shape, _RESULT)
    whole = kept.get("whole") if len(result.content) == 1 and isinstance(output, list) else None
    if whole == "part":
        output = output[0]
    elif whole == "early" and isinstance(shape, list):
        output = {"content": output[0]["text"], **shape[0]}
    return {"type": kind, "call_id": result.call_id, "output": output, **kept.get("item", {})}


def _write_reasoning(reasoning: Reasoning) -> dict[str, Any] | None:
    if reasoning.form != "responses":
        return None
    if reasoning.body is not None:
        return read_body(reasoning.body)
    summary = [{"type": "summary_text", "text": reasoning.text}] if reasoning.text else []
    return {"type": "reasoning", "summary": summary}
