"""Retold keeps LLM agents inside their context window: the model reads it retold shorter; the log keeps every word.

async with retold.connect() as client:                  # no URL: the embedded server
    session = await client.session("agent-42", window=retold.Window(hard_limit=200_000))
    await session.append({"role": "user", "content": "..."})
    history = await session.history()

result = retold.compact(messages, budget_tokens=8_000)  # no log, no server, pure
"""

from retold import tokens
from retold.client import Client, Session
from retold.errors import (
    ConflictError,
    CorruptLogError,
    FloorError,
    InputError,
    RetoldError,
    SchemaError,
    UnavailableError,
)
from retold.events import Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult, Window
from retold.fold import History
from retold.policy import Compacted, compact
from retold.wiring import connect, worker

__all__ = [
    "Client",
    "Compacted",
    "ConflictError",
    "CorruptLogError",
    "FloorError",
    "History",
    "InputError",
    "Item",
    "Message",
    "Opaque",
    "Reasoning",
    "RetoldError",
    "SchemaError",
    "Session",
    "Text",
    "ToolCall",
    "ToolResult",
    "UnavailableError",
    "Window",
    "compact",
    "connect",
    "tokens",
    "worker",
]
