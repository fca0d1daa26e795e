"""Messages from a file or from stdin, as commands take them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retold.errors import InputError
from retold.formats.json_text import decode_json


def read_messages(file: Path | None) -> list[Mapping[str, Any]]:
    """Return the messages that *file* holds: one, a list, or one a line.

    Raises:
        InputError: if it cannot be read or holds something else, naming the line.
    """
    name = "stdin" if file is None else str(file)
    try:
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected text in {name}, got {getattr(error, 'strerror', None) or 'other bytes'}") from None
    try:
        whole = decode_json(text)
        found = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError):
        found = [_line(line, number, name) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, message in enumerate(found, start=1):
        if not isinstance(message, dict):
            raise InputError(f"expected a JSON object for message {number} of {name}, got {type(message).__name__}")
    return found


def _line(line: str, number: int, name: str) -> Any:
    try:
        return decode_json(line)
    except (ValueError, RecursionError):
        raise InputError(f"expected a message as JSON in line {number} of {name}, got something else") from None
