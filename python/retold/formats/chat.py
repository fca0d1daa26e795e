"""Chat Completions messages, both ways.

Reading: one message gives its reasoning, its text and its calls, in that order; a tool message gives a result.
Writing gives the same message again, up to these normalisations:
- an assistant message with calls and no `content` field is written with `content: null`;
- a call without a `type` is written with ``function``; arguments that came as an object are written as JSON text;
- a tool message without `content` is written with `content: null`;
- neighbouring calls of different messages are written as one message, and each result is written after the message of
  its call, for a provider refuses calls whose results do not follow at once.

What this form cannot hold: another form's reasoning and opaque blocks are left out (nobody but their provider reads
them); images are translated (in tool results, where the form allows no image, and for every other block, a short text
stands in its place); `is_error` of a result has no field and is left out.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, get_args

from msgspec.structs import replace

from retold.errors import InputError
from retold.events.items import Item, Message, Opaque, Part, Reasoning, Speaker, ToolCall, ToolResult
from retold.formats.bundle import bundle_items, gather, sized_group
from retold.formats.expect import NOTHING, as_object, field, leftover, read_object, read_string, wrong
from retold.formats.json_text import read_body, read_extra, write_extra, write_json
from retold.formats.parts import Dialect, Shape, read_content, speaker_of, write_content

_CONTENT: Final = Dialect(form="chat", text="text", texts=frozenset({"text"}), plain=True)
_RESULT: Final = Dialect(form="chat", text="text", texts=frozenset({"text"}), plain=True, images=False)
_REASONING: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Where Chat providers put reasoning: DeepSeek and vLLM, then OpenRouter's text and its signed list."""
_LEGACY_ID: Final = "function_call:"
"""A function call of before `tool_calls` has no id; it is named for its function, and its result follows at once."""


def read_message(message: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the items of one Chat Completions message; InputError names the path of what is wrong."""
    role = read_string(message, "role")
    if role == "tool":
        return (_read_result(message, read_string(message, "tool_call_id")),)
    if role == "function":
        return (_read_result(message, _LEGACY_ID + read_string(message, "name")),)
    if role == "assistant":
        return _read_assistant(message)
    if role in get_args(Speaker):
        return (_read_plain(message),)
    raise InputError("expected role to be system, developer, user, assistant, tool or function, got another string")


def _read_plain(message: Mapping[str, Any]) -> Message:
    content, shape = read_content(message.get("content", NOTHING), _CONTENT, at="content")
    return _message(message, content, shape, known=("role", "content", "name"))


def _message(message: Mapping[str, Any], content: tuple[Part, ...], shape: Shape, *, known: tuple[str, ...]) -> Message:
    name = message.get("name")
    fields = leftover(message, known)
    if not isinstance(name, str) and "name" in message:
        fields["name"] = name
    return Message(
        role=message["role"],
        content=content,
        name=name if isinstance(name, str) else None,
        extra=write_extra("chat", message=fields, content=shape),
    )


def _read_result(message: Mapping[str, Any], call_id: str) -> ToolResult:
    raw = message.get("content", NOTHING)
    shape: Shape
    content: tuple[Part, ...]
    if raw is None or raw is NOTHING:
        content, shape = (), "null"
    else:
        content, shape = read_content(raw, _RESULT, at="content")
    legacy = True if message["role"] == "function" else None
    fields = leftover(message, ("role", "content", "name" if legacy else "tool_call_id"))
    return ToolResult(
        call_id=call_id, content=content, extra=write_extra("chat", message=fields, content=shape, legacy=legacy)
    )


def _read_assistant(message: Mapping[str, Any]) -> tuple[Item, ...]:
    reasoning, reasoned = _read_reasoning(message)
    calls = _read_calls(message)
    known = ("role", "content", *reasoned)
    known += tuple(name for name in ("tool_calls", "function_call") if message.get(name))
    raw = message.get("content", NOTHING)
    items: tuple[Item, ...]
    if raw is None or raw is NOTHING:
        items = (*reasoning, *_without_text(message, calls, known=known))
    else:
        content, shape = read_content(raw, _CONTENT, at="content")
        items = (*reasoning, _message(message, content, shape, known=(*known, "name")), *calls)
    if len(items) == 1:
        return items
    return sized_group(_group_of(message, calls), items)


def _without_text(message: Mapping[str, Any], calls: list[ToolCall], *, known: tuple[str, ...]) -> tuple[Item, ...]:
    """Return the *calls*, the first with the message's own fields; without calls, an empty message that holds them."""
    if not calls:
        shape = "null" if "content" in message else "absent"
        return (_message(message, (), shape, known=(*known, "name")),)
    sections = read_extra(calls[0].extra, "chat")
    first = replace(calls[0], extra=write_extra("chat", message=leftover(message, known), **sections))
    return (first, *calls[1:])


def _group_of(message: Mapping[str, Any], calls: list[ToolCall]) -> str:
    """Name the group after the first call, or after the content of the message where there is none."""
    if calls:
        return calls[0].call_id
    return sha256(write_json(dict(message)).encode()).hexdigest()[:16]


def _read_reasoning(message: Mapping[str, Any]) -> tuple[tuple[Reasoning, ...], tuple[str, ...]]:
    """Return the reasoning, if any, and the fields that it took."""
    held = {name: message[name] for name in _REASONING if message.get(name)}
    if not held:
        return (), ()
    text = held.get("reasoning_content", held.get("reasoning", ""))
    if not isinstance(text, str):
        raise wrong("a string", text, at=next(iter(held)))
    plain = tuple(held) == ("reasoning_content",)
    return (Reasoning(text=text, form="chat", body=None if plain else write_json(held)),), tuple(held)


def _read_calls(message: Mapping[str, Any]) -> list[ToolCall]:
    if message.get("function_call"):
        return [_read_legacy_call(read_object(message, "function_call"))]
    raw = message.get("tool_calls") or []
    if not isinstance(raw, list):
        raise wrong("a list of calls", raw, at="tool_calls")
    return [_read_call(call, at=f"tool_calls[{index}]") for index, call in enumerate(raw)]


def _read_legacy_call(call: Mapping[str, Any]) -> ToolCall:
    name = read_string(call, "name", at="function_call")
    arguments = read_string(call, "arguments", at="function_call")
    return ToolCall(
        call_id=_LEGACY_ID + name,
        name=name,
        arguments=arguments,
        extra=write_extra("chat", legacy=leftover(call, ("name", "arguments")) or True),
    )


def _read_call(raw: Any, *, at: str) -> ToolCall:
    call = as_object(raw, at=at)
    kind = call.get("type", "function")
    if kind not in ("function", "custom"):
        raise InputError(f"expected {at}.type to be function or custom, got something else")
    inner_at = field(at, kind)
    inner = read_object(call, kind, at=at)
    text = "arguments" if kind == "function" else "input"
    arguments = inner.get(text)
    fields = leftover(call, ("id", "type", kind))
    return ToolCall(
        call_id=read_string(call, "id", at=at),
        name=read_string(inner, "name", at=inner_at),
        arguments=write_json(arguments) if isinstance(arguments, dict) else read_string(inner, text, at=inner_at),
        kind=kind,
        extra=write_extra("chat", item=fields, inner=leftover(inner, ("name", text))),
    )


def render(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Return *items* as Chat Completions messages, in order; see the module for what is left out."""
    return [_write_bundle(run) for run in bundle_items(gather(items), is_held=_is_held, joins=_joins)]


def _is_held(item: Item) -> bool:
    return not (isinstance(item, Reasoning | Opaque) and item.form != "chat")


def _joins(before: Item, after: Item, is_one: bool) -> bool:  # noqa: FBT001 - what is known of the two, as `joins` has it
    if not (_is_assistant(before) and _is_assistant(after)):
        return False
    return is_one or (isinstance(before, ToolCall) and isinstance(after, ToolCall))


def _is_assistant(item: Item) -> bool:
    return isinstance(item, ToolCall | Reasoning) or (isinstance(item, Message) and item.role == "assistant")


def _write_bundle(run: list[Item]) -> dict[str, Any]:
    first = run[0]
    if isinstance(first, ToolResult):
        return _write_result(first)
    if isinstance(first, Opaque):
        return read_body(first.body)
    if _is_assistant(first):
        return _write_assistant(run)
    assert isinstance(first, Message)
    return _write_message(first)


def _write_message(message: Message) -> dict[str, Any]:
    kept = read_extra(message.extra, "chat")
    shape = kept.get("content")
    written: dict[str, Any] = {"role": speaker_of(message)}
    if not (shape == "absent" and not message.content):
        written["content"] = write_content(message.content, shape, _CONTENT)
    if message.name is not None:
        written["name"] = message.name
    return {**written, **kept.get("message", {})}


def _write_result(result: ToolResult) -> dict[str, Any]:
    kept = read_extra(result.extra, "chat")
    address = {"role": "tool", "tool_call_id": result.call_id}
    if kept.get("legacy"):
        address = {"role": "function", "name": result.call_id.removeprefix(_LEGACY_ID)}
    content = write_content(result.content, kept.get("content"), _RESULT)
    return {**address, "content": content, **kept.get("message", {})}


def _write_assistant(run: list[Item]) -> dict[str, Any]:
    messages = [item for item in run if isinstance(item, Message)]
    calls = [item for item in run if isinstance(item, ToolCall)]
    if len(messages) == 1:
        written = _write_message(messages[0])
    else:
        parts = tuple(part for message in messages for part in message.content)
        written = {"role": "assistant", "content": write_content(parts, None, _CONTENT) if parts else None}
    for item in run:
        if isinstance(item, Reasoning):
            written |= {"reasoning_content": item.text} if item.body is None else read_body(item.body)
    if calls:
        written |= _write_calls(calls)
        written |= {} if messages else read_extra(calls[0].extra, "chat").get("message", {})
    return written


def _write_calls(calls: list[ToolCall]) -> dict[str, Any]:
    legacy = read_extra(calls[0].extra, "chat").get("legacy")
    if legacy and len(calls) == 1:
        fields = legacy if isinstance(legacy, dict) else {}
        return {"function_call": {"name": calls[0].name, "arguments": calls[0].arguments, **fields}}
    return {"tool_calls": [_write_call(call) for call in calls]}


def _write_call(call: ToolCall) -> dict[str, Any]:
    kept = read_extra(call.extra, "chat")
    text = "arguments" if call.kind == "function" else "input"
    inner = {"name": call.name, text: call.arguments, **kept.get("inner", {})}
    return {"id": call.call_id, "type": call.kind, call.kind: inner, **kept.get("item", {})}
