"""Anthropic Messages, both ways.

Reading: one message gives its items in the order of its blocks: text, images and documents as a message, `tool_use` as
calls, `tool_result` as results, `thinking` and `redacted_thinking` as reasoning (the signed block as it came), every
other block of the assistant's (compaction, server tools) as opaque, as it came.
Writing gives the same message again, up to these normalisations:
- neighbouring results are written as one user message and neighbouring calls as one assistant message, whatever
  messages they came in, and each result directly after the message of its call: the API wants all results of parallel
  calls in the message that follows the calls;
- a tool's input is compared as JSON: equal values, not equal white space.

The system prompt is no message here. It is read from and written as an entry ``{"role": "system", "content": …}``
where it stands, and `split_system` parts such entries (developer messages too) from the messages.

What this form cannot hold: another form's reasoning and opaque blocks are left out (nobody but their provider reads
them); reasoning without a signed block is left out too (the API refuses it); images are translated, for every other
foreign block a short text stands in its place; a speaker's `name` has no field; arguments that are no JSON object are
wrapped as ``{"arguments": text}``, a custom tool's input as ``{"input": text}``.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from msgspec.structs import replace

from retold.errors import InputError
from retold.events.items import Item, Message, Opaque, Part, Reasoning, Speaker, Text, ToolCall, ToolResult
from retold.formats.bundle import bundle_items, gather, sized_group
from retold.formats.expect import NOTHING, as_object, kind_of, leftover, read_object, read_string, wrong
from retold.formats.json_text import read_body, read_extra, read_json, write_extra, write_json
from retold.formats.parts import Dialect, Shape, read_content, read_part, speaker_of, write_content

_CONTENT: Final = Dialect(form="anthropic", text="text", texts=frozenset({"text"}), plain=True)
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_CONTENT_KINDS: Final = frozenset({"text", "image", "document"})
"""Blocks that are content of an assistant's message too; its other blocks are the provider's own."""


def read_message(message: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the items of one Anthropic message; InputError names the path of what is wrong."""
    role = _read_role(message)
    raw = message.get("content", NOTHING)
    fields = leftover(message, ("role", "content"))
    if not isinstance(raw, list) or not raw:
        content, shape = read_content(raw, _CONTENT, at="content")
        return (Message(role=role, content=content, extra=write_extra("anthropic", message=fields, content=shape)),)
    blocks = [as_object(block, at=f"content[{index}]") for index, block in enumerate(raw)]
    items = _keep_fields(_read_blocks(blocks, role), fields, role)
    own = message.get("id")
    if role == "assistant" and isinstance(own, str):
        return tuple(replace(item, group=own) for item in items)
    return tuple(items) if len(items) == 1 else sized_group(_group_of(message, items), items)


def _read_role(message: Mapping[str, Any]) -> Speaker:
    match read_string(message, "role"):
        case "user":
            return "user"
        case "assistant":
            return "assistant"
        case "system":
            return "system"
        case _:
            raise InputError("expected role to be user, assistant or system, got another string")


def _read_blocks(blocks: list[Mapping[str, Any]], role: Speaker) -> list[Item]:
    kinds = [_kind(block, role, at=f"content[{index}]") for index, block in enumerate(blocks)]
    items: list[Item] = []
    for kind, run in groupby(range(len(blocks)), key=kinds.__getitem__):
        indexes = list(run)
        if kind == "content":
            items.append(_read_content_run(blocks, indexes, role))
        else:
            items.extend(_read_block(blocks[index], kind, at=f"content[{index}]") for index in indexes)
    return items


def _kind(block: Mapping[str, Any], role: Speaker, *, at: str) -> str:
    kind = read_string(block, "type", at=at)
    if kind in ("tool_use", "tool_result"):
        return kind
    if role != "assistant" or kind in _CONTENT_KINDS:
        return "content"
    return "thinking" if kind in _THINKING else "opaque"


def _read_content_run(blocks: list[Mapping[str, Any]], indexes: list[int], role: Speaker) -> Message:
    read = [read_part(blocks[index], _CONTENT, at=f"content[{index}]") for index in indexes]
    content = tuple(part for part, _ in read)
    lefts = [left for _, left in read]
    shape = lefts if any(lefts) or Text("") in content else "parts"
    return Message(role=role, content=content, extra=write_extra("anthropic", content=shape))


def _read_block(block: Mapping[str, Any], kind: str, *, at: str) -> Item:
    if kind == "tool_use":
        return ToolCall(
            call_id=read_string(block, "id", at=at),
            name=read_string(block, "name", at=at),
            arguments=write_json(read_object(block, "input", at=at)),
            extra=write_extra("anthropic", item=leftover(block, ("type", "id", "name", "input"))),
        )
    if kind == "tool_result":
        return _read_result(block, at=at)
    if kind == "thinking":
        text = block.get("thinking", "")
        return Reasoning(text=text if isinstance(text, str) else "", form="anthropic", body=write_json(block))
    return Opaque(form="anthropic", kind=block["type"], body=write_json(block))


def _read_result(block: Mapping[str, Any], *, at: str) -> ToolResult:
    raw = block.get("content", NOTHING)
    content: tuple[Part, ...]
    shape: Shape
    if raw is None or raw is NOTHING:
        content, shape = (), "absent" if raw is NOTHING else "null"
    else:
        content, shape = read_content(raw, _CONTENT, at=f"{at}.content")
    is_error = block.get("is_error", False)
    if not isinstance(is_error, bool):
        raise wrong("a boolean", is_error, at=f"{at}.is_error")
    known = ("type", "tool_use_id", "content") + (("is_error",) if is_error else ())
    return ToolResult(
        call_id=read_string(block, "tool_use_id", at=at),
        content=content,
        is_error=is_error,
        extra=write_extra("anthropic", item=leftover(block, known), content=shape),
    )


def _keep_fields(items: list[Item], fields: dict[str, Any], role: Speaker) -> list[Item]:
    """Return *items* with the message's *fields* in the first that can hold them, or in an empty message beside."""
    if not fields:
        return items
    for index, item in enumerate(items):
        if isinstance(item, Message | ToolCall | ToolResult):
            extra = write_extra("anthropic", message=fields, **read_extra(item.extra, "anthropic"))
            return [*items[:index], replace(item, extra=extra), *items[index + 1 :]]
    return [*items, Message(role=role, extra=write_extra("anthropic", message=fields, content="parts"))]


def _group_of(message: Mapping[str, Any], items: list[Item]) -> str:
    """Name the group after its first call or results, or its content where it has none of these."""
    for item in items:
        if isinstance(item, ToolCall):
            return item.call_id
        if isinstance(item, ToolResult):
            return f"results:{item.call_id}"
    return sha256(write_json(dict(message)).encode()).hexdigest()[:16]


def render(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Return *items* as Anthropic messages, in order; see the module for what is left out."""
    return [_write_bundle(run) for run in bundle_items(gather(items), is_held=_is_held, joins=_joins)]


def split_system(messages: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Part rendered *messages*: the blocks of the `system` parameter, and the messages without the system entries."""
    blocks: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for message in messages:
        if message.get("role") == "system":
            content = message.get("content")
            blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        else:
            rest.append(dict(message))
    return blocks, rest


def _is_held(item: Item) -> bool:
    """Tell whether this form can hold *item*."""
    match item:
        case Reasoning():
            return item.form == "anthropic" and item.body is not None
        case Opaque():
            return item.form == "anthropic"
        case Message(role="assistant", content=()):
            return bool(read_extra(item.extra, "anthropic"))
        case _:
            return True


def _side(item: Item) -> str:
    match item:
        case ToolResult():
            return "user"
        case Message(role="system" | "developer"):
            return "system"
        case Message():
            return speaker_of(item)
        case _:
            return "assistant"


def _joins(before: Item, after: Item, is_one: bool) -> bool:  # noqa: FBT001 - what is known of the two, as `joins` has it
    if _side(before) != _side(after) or _side(after) == "system":
        return False
    both = (before, after)
    alike = all(isinstance(item, ToolCall) for item in both) or all(isinstance(item, ToolResult) for item in both)
    return alike or is_one


def _write_bundle(run: list[Item]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for item in run:
        if isinstance(item, Message | ToolCall | ToolResult):
            fields |= read_extra(item.extra, "anthropic").get("message", {})
    first = run[0]
    if len(run) == 1 and isinstance(first, Message):
        content = write_content(first.content, read_extra(first.extra, "anthropic").get("content"), _CONTENT)
    else:
        content = [block for item in run for block in _write_blocks(item)]
    return {"role": _side(first), "content": content, **fields}


def _write_blocks(item: Item) -> list[dict[str, Any]]:
    match item:
        case Message():
            return _write_message_blocks(item)
        case ToolCall():
            kept = read_extra(item.extra, "anthropic").get("item", {})
            return [{"type": "tool_use", "id": item.call_id, "name": item.name, "input": _input_of(item), **kept}]
        case ToolResult():
            return [_write_result(item)]
        case _:
            assert item.body is not None
            return [read_body(item.body)]


def _write_message_blocks(message: Message) -> list[dict[str, Any]]:
    """Return the blocks of *message*; an empty text of another form is left out, for the API refuses empty blocks."""
    shape = read_extra(message.extra, "anthropic").get("content")
    content = write_content(message.content, shape or "parts", _CONTENT)
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [block for block in blocks if shape is not None or block.get("text") != ""]


def _write_result(result: ToolResult) -> dict[str, Any]:
    kept = read_extra(result.extra, "anthropic")
    shape = kept.get("content")
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.call_id}
    if not (shape == "absent" and not result.content):
        block["content"] = write_content(result.content, shape, _CONTENT)
    if result.is_error:
        block["is_error"] = True
    return {**block, **kept.get("item", {})}


def _input_of(call: ToolCall) -> Any:
    if call.kind == "custom":
        return {"input": call.arguments}
    try:
        value = read_json(call.arguments, what="a call's arguments")
    except InputError:
        value = None
    return value if kind_of(value) == "an object" else {"arguments": call.arguments}
