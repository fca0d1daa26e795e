"""The text of an entry as the extractive summary reads it, and lines cut from it."""

from retold.events import Message, Reasoning, ToolCall, ToolResult, plain_text
from retold.fold import Entry
from retold.policy.blocks import read_block

TEXT_CHARACTERS_MAX = 20_000
"""Of one text, this much is read, half from its head and half from its tail."""

LINE_CHARACTERS_MAX = 240
"""A line of an agent's or a tool's is cut to this."""


def text_of(entry: Entry) -> str:
    """Return what is read of *entry*: its text or its arguments, a compressed block's words; no very long middle."""
    block = read_block(entry.item) if entry.form == "compressed" else None
    match entry.item:
        case _ if block is not None:
            text = block.text
        case Message(content=content) | ToolResult(content=content):
            text = plain_text(content)
        case ToolCall(arguments=text) | Reasoning(text=text):
            pass
        case _:
            return ""
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    half = TEXT_CHARACTERS_MAX // 2
    return text[:half] + "\n" + text[-half:]


def cut_line(text: str) -> str:
    """Return *text* on one line, without the marks of a list, cut to `LINE_CHARACTERS_MAX`."""
    text = " ".join(text.split())
    if len(text) > LINE_CHARACTERS_MAX:
        text = text[: LINE_CHARACTERS_MAX - 1].rstrip() + "…"
    return text.lstrip("-*#> ")
