"""Retold keeps LLM agents inside their context window: the model reads it retold shorter; the log keeps every word.

    async with retold.connect() as client:                  # no URL: the embedded server
        session = await client.session("agent-42", window=retold.Window(hard_limit=200_000))
        await session.append({"role": "user", "content": "..."})
        history = await session.history()

    result = retold.compact(messages, budget_tokens=8_000)  # no log, no server, pure

Names are loaded when they are first used: counting tokens does not load a NATS client.
"""

from importlib import import_module

TYPE_CHECKING = False  # a name that type checkers know; importing typing takes longer than counting tokens
if TYPE_CHECKING:
    from typing import Any

    from retold import sync, tokens
    from retold.client import Appended, Client, Compression, Session
    from retold.errors import (
        ConflictError,
        CorruptLogError,
        FloorError,
        InputError,
        RetoldError,
        SchemaError,
        UnavailableError,
    )
    from retold.events import Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult, Tuning, Window
    from retold.fold import History
    from retold.framing import RequestSize, count_request
    from retold.policy import Compacted, Compressed, HistoryView, compact, compress, guidance, history_tools, view
    from retold.replay import Diff, diff
    from retold.wiring import connect, run_worker
    from retold.worker import Hooks

__all__ = [
    "Appended",
    "Client",
    "Compacted",
    "Compressed",
    "Compression",
    "ConflictError",
    "CorruptLogError",
    "Diff",
    "FloorError",
    "History",
    "HistoryView",
    "Hooks",
    "InputError",
    "Item",
    "Message",
    "Opaque",
    "Reasoning",
    "RequestSize",
    "RetoldError",
    "SchemaError",
    "Session",
    "Text",
    "ToolCall",
    "ToolResult",
    "Tuning",
    "UnavailableError",
    "Window",
    "compact",
    "compress",
    "connect",
    "count_request",
    "diff",
    "guidance",
    "history_tools",
    "run_worker",
    "sync",
    "tokens",
    "view",
]

_ROOMS = {
    "retold.client": ("Appended", "Client", "Compression", "Session"),
    "retold.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "retold.events": ("Item", "Message", "Opaque", "Reasoning", "Text", "ToolCall", "ToolResult", "Tuning", "Window"),
    "retold.fold": ("History",),
    "retold.framing": ("RequestSize", "count_request"),
    "retold.policy": (
        "Compacted",
        "Compressed",
        "HistoryView",
        "compact",
        "compress",
        "guidance",
        "history_tools",
        "view",
    ),
    "retold.replay": ("Diff", "diff"),
    "retold.wiring": ("connect", "run_worker"),
    "retold.worker": ("Hooks",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> "Any":
    """Load the public name *name* from the room that it lives in."""
    if name in ("sync", "tokens"):
        return import_module(f"retold.{name}")
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'retold' has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value
