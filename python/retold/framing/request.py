"""A whole request, read apart: its system text, its messages, its tools, in the form of its provider."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

from msgspec import Struct

from retold.errors import InputError
from retold.events import Form, Item, Message, Text
from retold.formats import detect_forms, to_items
from retold.formats.expect import NOTHING, kind_of, wrong


class Request(Struct, frozen=True):
    """Hold a request as it is counted.

    Attributes:
        system: system and developer text, wherever the form has it.
        items: everything else of the conversation.
        tools: the tools, as they were given.
        forced: whether the model must call a tool.
        model: the model's name; may be empty.
    """

    form: Form
    system: tuple[Item, ...]
    items: tuple[Item, ...]
    tools: tuple[Mapping[str, Any], ...]
    forced: bool
    model: str


_FIELDS: Final = ("messages", "input")


def read_request(request: object, *, tools: object = None, form: Form | None = None, model: str = "") -> Request:
    """Return *request*, the body of one or a list of messages, read apart.

    The form is detected where it is not given: by the body's fields, its tools' and its messages'.

    Raises:
        InputError: if *request* is neither, a message is not of its form, a tool is no object, or tools came twice.
    """
    if form is not None and form not in get_args(Form):
        raise InputError(f"expected a form among {', '.join(get_args(Form))}, got {form!r}")
    body = request if isinstance(request, Mapping) else {"messages": request}
    found = [name for name in _FIELDS if name in body]
    if len(found) != 1:
        raise InputError(f"expected a request with either messages or input, got {' and '.join(found) or 'neither'}")
    messages = _messages(body[found[0]], at=found[0])
    if tools is not None and body.get("tools"):
        raise InputError("expected tools in the request or beside it, got both")
    listed = _listed(tools if tools is not None else body.get("tools"), at="tools")
    form = form or _form_of(body, messages, listed)
    instructions = body.get("system") if form == "anthropic" else body.get("instructions")
    items = [item for message in messages for item in to_items(message, form=form)]
    return Request(
        form=form,
        system=(*_instructions(instructions, form), *(item for item in items if _is_system(item))),
        items=tuple(item for item in items if not _is_system(item)),
        tools=listed,
        forced=_is_forced(body.get("tool_choice")),
        model=model or _text(body.get("model")),
    )


def _messages(value: object, *, at: str) -> list[Mapping[str, Any]]:
    if isinstance(value, str) and at == "input":
        return [{"role": "user", "content": value}]
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"expected a request's body or messages, got {kind_of(value)} at {at}")
    return list(value)


def _listed(value: object, *, at: str) -> tuple[Mapping[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise wrong("a list of tools", value, at=at)
    for index, tool in enumerate(value):
        if not isinstance(tool, Mapping):
            raise wrong("an object", tool, at=f"{at}[{index}]")
    return tuple(value)


def _form_of(body: Mapping[str, Any], messages: list[Mapping[str, Any]], tools: tuple[Mapping[str, Any], ...]) -> Form:
    if "input" in body or "instructions" in body:
        return "responses"
    if "system" in body or any("input_schema" in tool for tool in tools):
        return "anthropic"
    return detect_forms(messages)


def _instructions(value: object, form: Form) -> tuple[Item, ...]:
    if value is None or value in ("", []):
        return ()
    if isinstance(value, str):
        return (Message(role="system", content=(Text(value),)),)
    if isinstance(value, list) and form == "anthropic":
        return to_items({"role": "system", "content": value}, form=form)
    raise wrong("a string", value or NOTHING, at="system" if form == "anthropic" else "instructions")


def _is_system(item: Item) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _is_forced(choice: object) -> bool:
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return kind in ("any", "tool", "required", "function", "custom")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
