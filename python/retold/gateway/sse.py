"""Server-sent events: split from the bytes as they come, and written."""

from collections.abc import Iterator
from typing import Any

from retold.errors import UnavailableError
from retold.formats.json_text import decode_json, write_json

EVENT_BYTES_MAX = 64 * 1024 * 1024
"""A whole answer is in the last event of a Responses stream; a longer one is no event."""

KEEP_ALIVE = b": waiting\n\n"
"""A comment: clients pass it over, and know that somebody is there."""

DONE = b"data: [DONE]\n\n"


class Splitter:
    """Split a stream of bytes into the data of its events; what is incomplete waits for more."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the data of each event that *data* completes, in order.

        Raises:
            UnavailableError: if an event is longer than `EVENT_BYTES_MAX`.
        """
        self._held += data
        while (found := self._next_end()) is not None:
            end, after = found
            block = bytes(self._held[:end])
            del self._held[:after]
            self._searched = 0
            if text := _data_of(block):
                yield text
        self._searched = max(0, len(self._held) - 3)
        if len(self._held) > EVENT_BYTES_MAX:
            raise UnavailableError("expected events of a bounded size, the server sent a longer one")

    def rest(self) -> Iterator[str]:
        """Yield the data of the event that the stream ended in, where its last blank line is missing."""
        if text := _data_of(bytes(self._held)):
            yield text
        self._held.clear()

    def _next_end(self) -> tuple[int, int] | None:
        """Return where the first event ends, and where the next begins."""
        plain = self._held.find(b"\n\n", self._searched)
        wide = self._held.find(b"\r\n\r\n", self._searched, plain + 1 if plain >= 0 else len(self._held))
        if wide >= 0:
            return wide, wide + 4
        return (plain, plain + 2) if plain >= 0 else None


def _data_of(block: bytes) -> str:
    lines = block.decode("utf-8", "replace").splitlines()
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


def read_event(text: str) -> dict[str, Any]:
    """Return the object that the *text* of an event is.

    Raises:
        UnavailableError: if it is none.
    """
    try:
        value = decode_json(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnavailableError("expected JSON objects as events, the server sent something else")
    return value


def write_event(value: dict[str, Any], *, name: str = "") -> bytes:
    """Return *value* as an event, called *name* where it has one."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {write_json(value)}\n\n".encode("utf-8", "replace")
