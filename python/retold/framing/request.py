"""A whole request, read apart: its system text, its messages, its tools, in the form of its provider."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

from msgspec import Struct

from retold.errors import InputError
from retold.events import Form, Item, Message, Text
from retold.formats import detect_forms, to_items
from retold.formats.expect import as_object, kind_of, wrong
from retold.formats.json_text import check_message


class Request(Struct, frozen=True):
    """Hold a request as it is counted.

    Attributes:
        system: system and developer text, wherever the form has it.
        items: everything else of the conversation.
        tools: the tools, as they were given.
        answer: the schema that the answer must follow, with its name and description; None where there is none.
        forced: whether the model must call a tool.
        model: the model's name; may be empty.
    """

    form: Form
    system: tuple[Item, ...]
    items: tuple[Item, ...]
    tools: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any] | None
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
    listed = _tools_of(body, beside=tools)
    form = form or _form_of(body, messages, listed)
    instructions = body.get("system") if form == "anthropic" else body.get("instructions")
    items = [item for message in messages for item in to_items(message, form=form)]
    return Request(
        form=form,
        system=(*_instructions(instructions, form), *(item for item in items if _is_system(item))),
        items=tuple(item for item in items if not _is_system(item)),
        tools=listed,
        answer=_answer_of(body),
        forced=_is_forced(body.get("tool_choice", body.get("function_call"))),
        model=_model(model) or _text(body.get("model")),
    )


def _messages(value: object, *, at: str) -> list[Mapping[str, Any]]:
    if isinstance(value, str) and at == "input":
        return [{"role": "user", "content": value}]
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"expected a request's body or messages, got {kind_of(value)} at {at}")
    return list(value)


def _tools_of(body: Mapping[str, Any], *, beside: object) -> tuple[Mapping[str, Any], ...]:
    """Return the tools of *body*, early functions among them, or those *beside* it."""
    listed = _listed(body.get("tools"), at="tools") + _listed(body.get("functions"), at="functions")
    if beside is None:
        return listed
    if listed:
        raise InputError("expected tools in the request or beside it, got both")
    return _listed(beside, at="tools")


def _answer_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that the answer must follow, wherever the form has it."""
    places = (("response_format",), ("text", "format"), ("output_format",), ("output_config", "format"))
    for place in places:
        held: Any = body
        for name in place:
            held = held.get(name) if isinstance(held, Mapping) else None
        if isinstance(held, Mapping) and held.get("type") == "json_schema":
            inner = held.get("json_schema", held)
            return inner if isinstance(inner, Mapping) else held
    return None


def _model(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise wrong("a model's name", value, at="model")


def _listed(value: object, *, at: str) -> tuple[Mapping[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise wrong("a list of tools", value, at=at)
    for index, tool in enumerate(value):
        check_message(as_object(tool, at=f"{at}[{index}]"), what=f"{at}[{index}]")
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
    raise wrong("a string", value, at="system" if form == "anthropic" else "instructions")


def _is_system(item: Item) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _is_forced(choice: object) -> bool:
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return kind in ("any", "tool", "required", "function", "custom")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
