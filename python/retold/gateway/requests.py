"""A request in one provider's form, read, and written in another's.

Rules:
- Messages go through items (`retold.formats`), which know what calls and results a provider accepts; here is what
  stands beside them: instructions, tools, what may be chosen, limits.
- A tool that only one provider runs (web search, code interpreter) is left out: no other has it. A custom tool, whose
  input is free text, becomes a function with one string.
- Instructions of all places come first and as one: many servers take no others.
- What cannot be carried over and would change the answer is refused, never dropped: stored conversations, and blocks
  that only their provider reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from retold.errors import InputError
from retold.events import Form, Item, Message, Text, ToolCall, ToolResult, plain_text
from retold.formats import complete, is_compaction, render, to_items
from retold.formats.json_text import read_extra, write_json

OUTPUT_TOKENS: Final = 16_000
"""What an answer may take where nobody says and the provider wants a number (Anthropic)."""

_INPUT_SCHEMA: Final = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as free text."}},
    "required": ["input"],
}
_THINKING_TOKENS: Final = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768}
"""What Anthropic's models may think for each effort that OpenAI names. It is read, and never asked for: the signed
blocks would have to come back with every call, and no other form carries them."""

LISTING: Final = "additional_tools"

_STORED: Final = ("previous_response_id", "conversation", "prompt")
"""Fields of a Responses request that stand for text which only the provider has."""


class Tool(Struct, frozen=True):
    """Hold one function; *is_custom*: it takes free text in the client's form, *space* the client's name space."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    is_custom: bool = False
    space: str = ""

    @property
    def flat_name(self) -> str:
        """Return the name under which a provider without name spaces knows the function."""
        return f"{self.space}__{self.name}" if self.space else self.name


class Ask(Struct, frozen=True):
    """Hold a request. None: not said.

    Attributes:
        choice: ``auto``, ``none`` or ``required``; any other word is the function that must be called.
        effort: how much to think, in OpenAI's words.
        format: the form of the answer, as Chat Completions' `response_format` has it.
    """

    model: str
    items: tuple[Item, ...]
    tools: tuple[Tool, ...] = ()
    choice: str | None = None
    is_parallel: bool | None = None
    output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    is_streamed: bool = False
    effort: str | None = None
    format: Mapping[str, Any] | None = None


def messages_of(body: Mapping[str, Any], form: Form) -> list[Mapping[str, Any]]:
    """Return the messages of the request *body*, a text as one message of the user's.

    Raises:
        InputError: if they are missing, or are no list of objects.
    """
    name = "input" if form == "responses" else "messages"
    value = body.get(name, [] if form == "responses" else None)
    if isinstance(value, str) and form == "responses":
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise InputError(f"expected {name} to be a list of objects")
    return value


def replaced(body: Mapping[str, Any], form: Form, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the request *body* with *messages* in the place of its own; system messages stand where *form* has them.

    Anthropic's are those of the request already.
    """
    if form == "anthropic":
        return {**body, "messages": [message for message in messages if message.get("role") != "system"]}
    return {**body, "input" if form == "responses" else "messages": list(messages)}


def read_request(body: Mapping[str, Any], form: Form) -> Ask:
    """Return what the request *body* of *form* asks for.

    Raises:
        InputError: naming what is of no form that is known, or cannot be carried over.
    """
    stored = [name for name in _STORED if body.get(name) is not None] if form == "responses" else []
    if stored:
        raise InputError(f"expected the whole conversation in the request: this server has no {stored[0]}")
    messages = messages_of(body, form)
    items = [item for message in messages if not _is_listing(message) for item in to_items(message, form=form)]
    listed = [tool for message in messages if _is_listing(message) for tool in _tools(message.get("tools"), form)]
    if any(is_compaction(item) for item in items):
        raise InputError("expected a conversation that this model can read, got a compaction of another provider")
    return Ask(
        model=_model(body),
        items=(*instructions_of(body, form), *items),
        tools=(*_tools(body.get("tools"), form), *listed),
        choice=_choice(body.get("tool_choice")),
        is_parallel=_is_parallel(body),
        output_tokens=_first(body, int, "max_output_tokens", "max_completion_tokens", "max_tokens"),
        temperature=_first(body, (int, float), "temperature"),
        top_p=_first(body, (int, float), "top_p"),
        stop=_stops(body.get("stop", body.get("stop_sequences"))),
        is_streamed=body.get("stream") is True,
        effort=_effort(body),
        format=_format(body, form),
    )


def _is_listing(message: Mapping[str, Any]) -> bool:
    """Return whether *message* is no message, but tools that stand in the conversation, as Codex sends them."""
    return message.get("type") == LISTING


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InputError("expected model to be a name")
    return model


def instructions_of(body: Mapping[str, Any], form: Form) -> list[Item]:
    """Return the system text that the request *body* has beside its messages, as one item; empty where it has none.

    Raises:
        InputError: if it is no text.
    """
    if form == "chat":
        return []  # there, it stands among the messages
    value = body.get("instructions" if form == "responses" else "system")
    if isinstance(value, list):
        value = "\n\n".join(
            part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if value is not None and not isinstance(value, str):
        raise InputError("expected instructions as text")
    return [Message(role="system", content=(Text(value),))] if value else []


def _first(body: Mapping[str, Any], kind: Any, *names: str) -> Any:
    values = (body.get(name) for name in names)
    return next((value for value in values if isinstance(value, kind) and not isinstance(value, bool)), None)


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(stop for stop in stops if isinstance(stop, str))


def _tools(value: Any, form: Form, *, space: str = "") -> Iterable[Tool]:
    for tool in value if isinstance(value, list) else []:
        if not isinstance(tool, dict):
            raise InputError("expected tools to be a list of objects")
        kind = tool.get("type", "custom" if form == "anthropic" else "function")
        if kind == "namespace" and form == "responses" and not space:
            yield from _tools(tool.get("tools"), form, space=str(tool.get("name", "")))
        elif form == "anthropic" and kind == "custom":
            yield _tool(tool, tool.get("input_schema"), space="")
        elif form != "anthropic" and kind in ("function", "custom"):
            inner = tool.get(kind, tool) if form == "chat" else tool
            if not isinstance(inner, dict):
                raise InputError(f"expected a tool's {kind} to be an object")
            schema = _INPUT_SCHEMA if kind == "custom" else inner.get("parameters")
            yield replace(_tool(inner, schema, space=space), is_custom=kind == "custom")


def _tool(tool: Mapping[str, Any], schema: Any, *, space: str) -> Tool:
    name, description = tool.get("name"), tool.get("description")
    if not isinstance(name, str) or not name:
        raise InputError("expected every tool to have a name")
    parameters = schema if isinstance(schema, dict) else None
    described = description if isinstance(description, str) else ""
    return Tool(name=name, description=described, parameters=parameters, space=space)


def _choice(value: Any) -> str | None:
    if isinstance(value, str):
        return value if value in ("auto", "none", "required") else None
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind in ("auto", "none", "any"):
        return "required" if kind == "any" else kind
    inner = value.get("function") or value.get("custom") or value
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def _is_parallel(body: Mapping[str, Any]) -> bool | None:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and isinstance(choice.get("disable_parallel_tool_use"), bool):
        return not choice["disable_parallel_tool_use"]
    value = body.get("parallel_tool_calls")
    return value if isinstance(value, bool) else None


def _effort(body: Mapping[str, Any]) -> str | None:
    reasoning, thinking = body.get("reasoning"), body.get("thinking")
    found = reasoning.get("effort") if isinstance(reasoning, dict) else body.get("reasoning_effort")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        taken = [name for name, tokens in _THINKING_TOKENS.items() if isinstance(budget, int) and tokens <= budget]
        found = taken[-1] if taken else "low"
    return found if isinstance(found, str) else None


def _format(body: Mapping[str, Any], form: Form) -> Mapping[str, Any] | None:
    if form == "chat":
        value = body.get("response_format")
        return value if isinstance(value, dict) else None
    text = body.get("text")
    inner = text.get("format") if isinstance(text, dict) else None
    if not isinstance(inner, dict) or inner.get("type") == "text":
        return None
    if inner.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {key: value for key, value in inner.items() if key != "type"}}
    return inner


def write_request(ask: Ask, form: Form) -> dict[str, Any]:
    """Return *ask* as a request body of *form*."""
    told = "\n\n".join(plain_text(item.content) for item in ask.items if isinstance(item, Message) and _is_told(item))
    plain = [_plain(item) for item in ask.items if not _is_told(item)]
    messages = render(complete(plain, form), form)
    body: dict[str, Any] = {"model": ask.model, "temperature": ask.temperature, "top_p": ask.top_p}
    match form:
        case "chat":
            body |= _chat(ask, told, messages)
        case "responses":
            body |= _responses(ask, told, messages)
        case "anthropic":
            body |= _anthropic(ask, told, messages)
    return {name: value for name, value in body.items() if value is not None and value != ()}


def _is_told(item: Item) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _plain(item: Item) -> Item:
    """Return *item* with a custom tool's call as a function's."""
    if isinstance(item, ToolCall):
        space = _space_of(item)
        name = f"{space}__{item.name}" if space else item.name
        arguments = write_json({"input": item.arguments}) if item.kind == "custom" else item.arguments
        return replace(item, kind="function", name=name, arguments=arguments, extra=None)
    return replace(item, kind="function", extra=None) if isinstance(item, ToolResult) else item


def _space_of(call: ToolCall) -> str:
    space = read_extra(call.extra, "responses").get("item", {}).get("namespace")
    return space if isinstance(space, str) else ""


def _chat(ask: Ask, told: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tools = [
        {"type": "function", "function": {"name": tool.flat_name, "description": tool.description, **_schema(tool)}}
        for tool in ask.tools
    ]
    choice: Any = ask.choice
    if choice not in (None, "auto", "none", "required"):
        choice = {"type": "function", "function": {"name": choice}}
    return {
        "messages": [*([{"role": "system", "content": told}] if told else []), *messages],
        "tools": tools or None,
        "tool_choice": choice if tools else None,
        "parallel_tool_calls": ask.is_parallel if tools else None,
        "max_tokens": ask.output_tokens,
        "stop": list(ask.stop) or None,
        "stream": ask.is_streamed or None,
        "stream_options": {"include_usage": True} if ask.is_streamed else None,
        "reasoning_effort": ask.effort,
        "response_format": ask.format,
    }


def _schema(tool: Tool) -> dict[str, Any]:
    return {} if tool.parameters is None else {"parameters": tool.parameters}


def _responses(ask: Ask, told: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tools = [
        {"type": "function", "name": tool.name, "description": tool.description, "strict": False, **_schema(tool)}
        for tool in ask.tools
    ]
    choice: Any = ask.choice
    if choice not in (None, "auto", "none", "required"):
        choice = {"type": "function", "name": choice}
    wanted = ask.format
    if wanted is not None and wanted.get("type") == "json_schema":
        wanted = {"type": "json_schema", **wanted.get("json_schema", {})}
    return {
        "input": list(messages),
        "instructions": told or None,
        "tools": tools or None,
        "tool_choice": choice if tools else None,
        "parallel_tool_calls": ask.is_parallel if tools else None,
        "max_output_tokens": ask.output_tokens,
        "stream": ask.is_streamed or None,
        "store": False,
        "reasoning": None if ask.effort is None else {"effort": ask.effort},
        "text": None if wanted is None else {"format": wanted},
    }


def _anthropic(ask: Ask, told: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tools = [
        {
            "name": tool.flat_name,
            "description": tool.description,
            "input_schema": tool.parameters or {"type": "object", "properties": {}},
        }
        for tool in ask.tools
    ]
    return {
        "messages": list(messages),
        "system": told or None,
        "tools": tools or None,
        "tool_choice": _anthropic_choice(ask) if tools else None,
        "max_tokens": ask.output_tokens or OUTPUT_TOKENS,
        "stop_sequences": list(ask.stop) or None,
        "stream": ask.is_streamed or None,
    }


def _anthropic_choice(ask: Ask) -> dict[str, Any] | None:
    if ask.choice is None and ask.is_parallel is not False:
        return None
    kinds = {None: "auto", "required": "any", "auto": "auto", "none": "none"}
    choice: dict[str, Any] = (
        {"type": kinds[ask.choice]} if ask.choice in kinds else {"type": "tool", "name": ask.choice}
    )
    if ask.is_parallel is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice
