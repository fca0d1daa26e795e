"""Which form a message is in, judged by its fields and the types of its parts; never by its text."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from retold.errors import InputError
from retold.events.items import Form
from retold.formats.expect import kind_of, wrong

_CHAT_FIELDS: Final = ("tool_calls", "tool_call_id", "function_call", "reasoning_content", "refusal", "audio")
_ANTHROPIC_FIELDS: Final = ("stop_reason", "stop_sequence")
_ANTHROPIC_MARKS: Final = ("cache_control", "citations")
_PARTS: Final[dict[str, Form]] = {
    "image_url": "chat",
    "input_audio": "chat",
    "file": "chat",
    "refusal": "chat",
    "input_text": "responses",
    "output_text": "responses",
    "input_image": "responses",
    "input_file": "responses",
    "thinking": "anthropic",
    "redacted_thinking": "anthropic",
    "tool_use": "anthropic",
    "tool_result": "anthropic",
    "image": "anthropic",
    "document": "anthropic",
    "search_result": "anthropic",
    "server_tool_use": "anthropic",
    "compaction": "anthropic",
}


def detect_form(message: Mapping[str, Any]) -> Form:
    """Return the form that *message* is in; one that could be any (``{"role", "content": str}``) is chat.

    Raises InputError if it is in none: it has neither a role nor a type.
    """
    return evidence_of(message) or _hint_in(message) or "chat"


def detect_forms(messages: Iterable[Mapping[str, Any]]) -> Form:
    """Return the one form that all *messages* are in; chat if each of them could be any.

    Raises InputError if two of them are certainly in different forms, or one is in none.
    """
    form: Form | None = None
    hint: Form | None = None
    for index, message in enumerate(messages):
        found = evidence_of(message)
        hint = hint or _hint_in(message)
        if form is not None and found not in (None, form):
            raise InputError(f"expected messages of one form, got {form} and, at [{index}], {found}")
        form = form or found
    return form or hint or "chat"


def evidence_of(message: Mapping[str, Any]) -> Form | None:
    """Return the form that *message* is certainly in, or None if it could be in several."""
    if not isinstance(message, Mapping):
        raise wrong("an object", message, at="")
    if any(name in message for name in _ANTHROPIC_FIELDS):
        return "anthropic"
    kind, role = message.get("type"), message.get("role")
    if isinstance(kind, str) and not (kind == "message" and isinstance(role, str)):
        return "responses"
    if not isinstance(role, str):
        raise InputError(f"expected a message with a role or a type, got {kind_of(role)} and {kind_of(kind)}")
    if role in ("tool", "function") or any(name in message for name in _CHAT_FIELDS):
        return "chat"
    return _evidence_in(message.get("content")) or ("responses" if kind == "message" else None)


def _hint_in(message: Mapping[str, Any]) -> Form | None:
    """Return the form that marks on a text part speak for. Gateways take them in chat form too, so evidence goes first.

    Instructions with such marks are chat: Anthropic has no message of that role.
    """
    content = message.get("content")
    parts = content if isinstance(content, list) and message.get("role") in ("user", "assistant") else []
    marked = any(name in part for part in parts if isinstance(part, Mapping) for name in _ANTHROPIC_MARKS)
    return "anthropic" if marked else None


def _evidence_in(content: Any) -> Form | None:
    parts = content if isinstance(content, list) else []
    kinds = [part.get("type") for part in parts if isinstance(part, Mapping)]
    return next((_PARTS[kind] for kind in kinds if isinstance(kind, str) and kind in _PARTS), None)
