"""What tools cost: schemas as their provider writes them into the prompt, and what it adds itself."""

from collections.abc import Mapping
from typing import Any, Final

from retold.formats.expect import wrong
from retold.formats.json_text import write_json
from retold.framing.namespace import Function, namespace_of
from retold.framing.request import Request
from retold.sizes import Tokens
from retold.tokens import Encoding

ALONE_TOKENS: Final = 3
"""Tools stand in the system text; where there is none, in a message of their own, of this many marks."""

CUSTOM_TOKENS: Final = 20
"""The frame of a custom tool (ours): it takes free text, in a grammar that is counted as it was given."""

HOSTED_TOKENS: Final = 400
"""A tool that the provider runs, in words nobody shows (ours: gpt-oss' own browser takes about as many)."""

ANTHROPIC_HOSTED: Final = {"bash": 245, "text_editor": 700, "computer": 735}
"""What Anthropic says of its own tools, by the beginning of their type."""

PROMPTS: Final = (("claude-3-opus", 530, 281), ("claude-3-sonnet", 159, 235), ("claude-3-haiku", 264, 340))
"""What Anthropic says that it adds where there are tools: for a free choice, and for a forced one."""

PROMPT: Final = (346, 313)
"""The same, for Claude 3.5 Sonnet and later."""


def tools_tokens(request: Request, encoding: Encoding) -> Tokens:
    """Return what the tools of *request* take; nothing where it has none."""
    if not request.tools:
        return Tokens()
    return _anthropic(request, encoding) if request.form == "anthropic" else _openai(request, encoding)


def answer_tokens(request: Request, encoding: Encoding) -> Tokens:
    """Return what the schema takes that the answer of *request* must follow; nothing where it has none.

    It is told the model as a section of its system text, after the layout of the harmony format. What others than
    OpenAI add to it, nobody says.
    """
    if request.answer is None:
        return Tokens()
    name, said = (request.answer.get(field) for field in ("name", "description"))
    lines = ["# Response Formats", f"## {name}", f"// {said}" if said else "", _json(request.answer.get("schema"))]
    return Tokens(estimated=encoding.count("\n\n".join(line for line in lines if line)))


def _openai(request: Request, encoding: Encoding) -> Tokens:
    functions = [_function(tool, at=f"tools[{index}]") for index, tool in enumerate(request.tools)]
    section = namespace_of(function for function in functions if function is not None)
    others = [tool for tool, function in zip(request.tools, functions, strict=True) if function is None]
    alone = 0 if request.system else ALONE_TOKENS
    estimated = sum(_other(tool, encoding) for tool in others)
    return Tokens(reconstructed=encoding.count(section) + alone, estimated=estimated)


def _function(tool: Mapping[str, Any], *, at: str) -> Function | None:
    """Return the function that *tool* is: Chat nests it, Responses does not, and early requests have no type."""
    if tool.get("type", "function") != "function":
        return None
    held = tool.get("function", tool)
    name = held.get("name") if isinstance(held, Mapping) else None
    if not isinstance(name, str):
        raise wrong("a string", name, at=f"{at}.name")
    description, parameters = held.get("description"), held.get("parameters")
    return Function(
        name=name,
        description=description if isinstance(description, str) else "",
        parameters=parameters if isinstance(parameters, Mapping) else None,
    )


def _other(tool: Mapping[str, Any], encoding: Encoding) -> int:
    if tool.get("type") != "custom":
        return HOSTED_TOKENS
    return encoding.count(_json(tool.get("custom", tool))) + CUSTOM_TOKENS


def _anthropic(request: Request, encoding: Encoding) -> Tokens:
    given = next((counts for begin, *counts in PROMPTS if request.model.startswith(begin)), PROMPT)
    own = [_hosted(tool) for tool in request.tools]
    schemas = sum(
        encoding.count(_json(tool)) for tool, hosted in zip(request.tools, own, strict=True) if hosted is None
    )
    estimated = schemas + sum(hosted for hosted in own if hosted is not None)
    return Tokens(reconstructed=given[request.forced], estimated=estimated)


def _hosted(tool: Mapping[str, Any]) -> int | None:
    """Return what a tool of Anthropic's own takes; None for one with a schema of its caller's."""
    kind = tool.get("type", "custom")
    if kind == "custom" or "input_schema" in tool or not isinstance(kind, str):
        return None
    return next((size for begin, size in ANTHROPIC_HOSTED.items() if kind.startswith(begin)), HOSTED_TOKENS)


def _json(value: object) -> str:
    return write_json(value, at="tools")
