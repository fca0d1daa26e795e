"""One tool call of a model, in any form, and the message that answers it in the same form."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from retold.errors import InputError
from retold.events.items import Form, Text, ToolCall, ToolResult
from retold.formats.expect import as_object
from retold.formats.messages import render, to_items


class FormedCall(Struct, frozen=True):
    """Hold a tool call and the form that it came in."""

    call: ToolCall
    form: Form

    def answered(self, text: str, *, is_error: bool) -> dict[str, Any]:
        """Return the message that answers the call with *text*, to be appended and sent."""
        call = self.call
        result = ToolResult(call_id=call.call_id, content=(Text(text),), kind=call.kind, is_error=is_error)
        return render((result,), self.form)[0]


def read_call(call: Mapping[str, Any]) -> FormedCall:
    """Return the tool call that *call* is: one of `tool_calls`, a `function_call` item, or a `tool_use` block.

    Raises:
        InputError: if it is none of these, or not of its form.
    """
    kind = as_object(call, at="").get("type", "function")
    match kind:
        case "function" | "custom":
            return _formed({"role": "assistant", "content": None, "tool_calls": [dict(call)]}, "chat")
        case "function_call" | "custom_tool_call":
            return _formed(dict(call), "responses")
        case "tool_use":
            return _formed({"role": "assistant", "content": [dict(call)]}, "anthropic")
        case _:
            raise InputError("expected one tool call: a function, a function_call or a tool_use, got something else")


def _formed(message: dict[str, Any], form: Form) -> FormedCall:
    item = to_items(message, form=form)[0]
    assert isinstance(item, ToolCall), "a message of one call is read as one"
    return FormedCall(call=item, form=form)
