"""Function tools as OpenAI's models read them: every shape of a schema, and schemas that are not well-behaved."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.framing.namespace import DEPTH_MAX, REFERRED_MAX, Function, namespace_of

WRITTEN = """\
# Tools

## functions

namespace functions {

// Cook a dish.
// Slowly.
type cook = (_: {
// What goes in.
// In order.
parts: {
    name: string,
    unit?: "g" | "ml", // default: "g"
    }[],
minutes?: number,
}) => any;

type stop = () => any;

} // namespace functions"""


def _type(schema: Any) -> str:
    """Return how *schema* is written as the only, required parameter."""
    parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    written = namespace_of([Function("f", "", parameters)])
    return written.partition("x: ")[2].rpartition(",\n})")[0]


def test_a_tool_is_written_as_its_model_reads_it() -> None:
    """Names, descriptions, optional parameters, enumerations, lists of objects and defaults all stand in it."""
    unit = {"type": "string", "enum": ["g", "ml"], "default": "g"}
    part = {"type": "object", "properties": {"name": {"type": "string"}, "unit": unit}, "required": ["name"]}
    parameters = {
        "type": "object",
        "properties": {
            "parts": {"type": "array", "items": part, "description": "What goes in.\nIn order."},
            "minutes": {"type": "integer"},
        },
        "required": ["parts"],
    }
    functions = [Function("cook", "Cook a dish.\nSlowly.", parameters), Function("stop", "", None)]
    assert namespace_of(functions) == WRITTEN


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number | null"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
        ({"allOf": [{"type": "string"}, {"enum": ["a"]}]}, 'string & "a"'),
        ({"enum": [1, "a", None, True]}, '1 | "a" | null | true'),
        ({"const": "on"}, '"on"'),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "string[][]"),
        ({"type": "array"}, "any[]"),
        ({"type": "object"}, "{\n    }"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "{\n    }"),
        ({"type": "colour"}, "any"),
        ({}, "any"),
        (True, "any"),
        ({"$ref": "#/$defs/none"}, "any"),
    ],
)
def test_each_kind_of_schema_has_its_type(schema: Any, written: str) -> None:
    """Whatever a parameter may be, its type is counted as it is written, not left out."""
    assert _type(schema) == written


def test_a_reference_is_followed_once_and_a_schema_that_holds_itself_ends() -> None:
    """Schemas with definitions count in full, trees of themselves too."""
    node = {"type": "object", "properties": {"text": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}}}
    parameters = {"$defs": {"Node": node}, "type": "object", "properties": {"first": {"$ref": "#/$defs/Node"}}}
    written = namespace_of([Function("f", "", parameters)])
    assert written.count("text?: string") == 1
    assert "next?: any" in written


def test_kinds_that_may_all_hold_each_other_are_written_within_a_limit() -> None:
    """A tool for a document of blocks within blocks is counted at once, and not as every nesting that there may be."""
    kinds = [f"Kind{number}" for number in range(12)]
    held = {kind: {"$ref": f"#/$defs/{kind}"} for kind in kinds}
    parameters = {"$defs": {kind: {"type": "object", "properties": held} for kind in kinds}, **held["Kind0"]}
    written = namespace_of([Function("f", "", parameters)])
    assert len(written) < 2 * REFERRED_MAX
    assert written.count("Kind11?:") > 1


def test_a_schema_is_written_once_for_a_type_that_is_named_twice() -> None:
    """A list of types is a union of different ones, however often it names each."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(DEPTH_MAX - 1):
        schema = {"type": ["object", "object", ["object"]], "properties": {"x": schema}}
    assert _type(schema).count("x?: ") == DEPTH_MAX - 1


def test_a_schema_nested_without_end_is_cut_off() -> None:
    """A schema deeper than any provider takes does not make counting fail."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    assert _type(schema) == "any" + "[]" * DEPTH_MAX


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "items", "properties", "enum", "anyOf", "$ref", "required", "description", "default"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@law(300)
@given(_VALUES)
def test_any_json_for_a_schema_is_written_somehow(schema: Any) -> None:
    """A schema that makes no sense is still counted."""
    assert isinstance(_type(schema), str)


def test_no_tools_are_no_section() -> None:
    """A request without tools pays for none."""
    assert not namespace_of([])
