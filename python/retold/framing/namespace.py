"""Function tools as OpenAI's models are given them: a TypeScript namespace, after the layout of the harmony format.

Descriptions are comments above, defaults behind; optional properties have a question mark; enumerations and
alternatives are unions; a list of a union or of objects is that type with brackets. References within a schema are
followed, once each on a way down: a schema that holds itself is ``any`` where it does again, and so is what references
write beyond `REFERRED_MAX`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from retold.formats.json_text import write_json

DEPTH_MAX: Final = 32
"""Schemas nested deeper than this are ``any``: OpenAI takes ten levels."""

REFERRED_MAX: Final = 20_000
"""How much a function's references may write, in characters and schemas. (Twelve kinds of block, each of which may hold
all the others, write 12! of them; no provider is known to.)"""

INDENT: Final = "    "

_SIMPLE: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


class Function(Struct, frozen=True):
    """Hold one function tool: its name, what it says it does, and the JSON schema of its parameters, if any."""

    name: str
    description: str
    parameters: Mapping[str, Any] | None


def namespace_of(functions: Iterable[Function]) -> str:
    """Return the section of the prompt that *functions* are written as; empty for none. O(bytes of the schemas)."""
    written = [_function(function) for function in functions]
    if not written:
        return ""
    return "\n\n".join(("# Tools", "## functions", "namespace functions {", *written, "} // namespace functions"))


def _function(function: Function) -> str:
    lines = [f"// {line}" for line in function.description.splitlines()]
    schema = function.parameters
    taken = "" if schema is None else f"_: {_Types(schema).of(schema, '', 0)}"
    return "\n".join((*lines, f"type {function.name} = ({taken}) => any;"))


class _Types:
    """Write the types of one schema, whose definitions its references name."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._open: list[str] = []
        self._referred_size = 0

    def of(self, schema: Any, indent: str, depth: int) -> str:
        """Return the type that *schema* describes; lines after the first begin with *indent*."""
        self._referred_size += len(self._open) > 0
        if not isinstance(schema, Mapping) or depth > DEPTH_MAX or self._referred_size > REFERRED_MAX:
            return "any"
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema["$ref"], indent, depth)
        for name, mark in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
            if isinstance(schema.get(name), list) and schema[name]:
                return mark.join(_once(self.of(one, indent, depth + 1) for one in schema[name]))
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return " | ".join(_literal(value) for value in schema["enum"])
        if "const" in schema:
            return _literal(schema["const"])
        return self._plain(schema, indent, depth)

    def _plain(self, schema: Mapping[str, Any], indent: str, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = _once(one if isinstance(one, str) else "any" for one in kind)
            return " | ".join(_once(self._plain({**schema, "type": one}, indent, depth) for one in kinds)) or "any"
        if kind == "array":
            return f"{self.of(schema['items'], indent, depth + 1)}[]" if "items" in schema else "any[]"
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, indent, depth)
        return _SIMPLE.get(kind, "any") if isinstance(kind, str) else "any"

    def _object(self, schema: Mapping[str, Any], indent: str, depth: int) -> str:
        properties, listed = schema.get("properties"), schema.get("required")
        required = frozenset(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()
        lines = ["{"]
        for name, held in properties.items() if isinstance(properties, Mapping) else ():
            lines += [f"{indent}// {line}" for line in _said_above(held)]
            mark = "" if name in required else "?"
            lines.append(f"{indent}{name}{mark}: {self.of(held, indent + INDENT, depth + 1)},{_said_behind(held)}")
        return "\n".join((*lines, f"{indent}}}"))

    def _referred(self, reference: str, indent: str, depth: int) -> str:
        held: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            held = held.get(part) if isinstance(held, Mapping) and part else held
        if reference in self._open or not isinstance(held, Mapping):
            return "any"
        self._open.append(reference)
        written = self.of(held, indent, depth + 1)
        self._open.pop()
        self._referred_size += len(written)
        return written


def _once(types: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(types))


def _literal(value: Any) -> str:
    return write_json(value, at="a tool's schema")


def _said_above(schema: Any) -> list[str]:
    said = schema.get("description") if isinstance(schema, Mapping) else None
    return said.splitlines() if isinstance(said, str) else []


def _said_behind(schema: Any) -> str:
    return f" // default: {_literal(schema['default'])}" if isinstance(schema, Mapping) and "default" in schema else ""
