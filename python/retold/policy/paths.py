"""Which files a tool call touches, and how: from the argument names and patch forms that coding agents use."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from retold.events import ToolCall

_PATH_KEYS = ("file_path", "path", "filename", "filepath", "target_file", "notebook_path", "absolute_path", "file")
_PATCH = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.MULTILINE)
_PATCH_ACTIONS = {"Add": "added", "Update": "edited", "Delete": "deleted"}
_TOOL_ACTIONS = (
    (re.compile(r"multi.?edit|edit|replace|patch|insert", re.IGNORECASE), "edited"),
    (re.compile(r"write|create", re.IGNORECASE), "written"),
    (re.compile(r"delete|remove", re.IGNORECASE), "deleted"),
    (re.compile(r"read|view|open|cat", re.IGNORECASE), "read"),
    (re.compile(r"search|grep|glob|find|list|ls", re.IGNORECASE), "searched"),
)

ARGUMENTS_CHARACTERS_MAX = 200_000
"""Longer arguments are not searched."""


def file_actions(call: ToolCall) -> Iterator[tuple[str, str]]:
    """Yield each (path, what was done) that *call* tells: edited, written, deleted, read, searched or used."""
    if len(call.arguments) > ARGUMENTS_CHARACTERS_MAX:
        return
    for kind, path in _PATCH.findall(call.arguments.replace("\\n", "\n")):
        yield path.strip(), _PATCH_ACTIONS[kind]
    arguments = _object(call.arguments)
    action = next((name for cue, name in _TOOL_ACTIONS if cue.search(call.name)), "used")
    for key in _PATH_KEYS:
        path = arguments.get(key)
        if isinstance(path, str) and path.strip() and "\n" not in path:
            yield path.strip(), action


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
