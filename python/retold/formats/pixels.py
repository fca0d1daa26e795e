"""The size of a picture in pixels, read from the first bytes of a PNG, JPEG, GIF or WebP file."""

import binascii
import struct
from typing import Any, Final

HEAD_BASE64: Final = 1 << 17
"""How much base64 text is decoded at most: a camera's JPEG may hold 64 KiB of notes before its size."""

_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of a frame, which holds the size."""

Size = tuple[int, int]
"""Width and height."""


def size_of_base64(text: str) -> Size | None:
    """Return the size of the picture in base64 *text*, or None if it is of no known kind. Reads only its head."""
    head = text[:HEAD_BASE64]
    try:
        return size_of_bytes(binascii.a2b_base64(head[: len(head) // 4 * 4]))
    except (binascii.Error, ValueError):
        return None


def size_of_part(part: Any) -> Size | None:
    """Return the size of the picture in a provider's *part*, where the picture itself is in it; None elsewhere."""
    held = part if isinstance(part, dict) else {}
    source, url = held.get("source"), held.get("image_url")
    data = source.get("data") if isinstance(source, dict) else None
    address = url.get("url") if isinstance(url, dict) else url
    if isinstance(address, str) and address.startswith("data:"):
        data = address.partition(",")[2]
    size = size_of_base64(data) if isinstance(data, str) else None
    return size if size is not None and min(size) > 0 else None


def size_of_bytes(head: bytes) -> Size | None:
    """Return the size that the first bytes of a file say, or None if they are of no known kind or too few."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(struct.unpack_from(">II", head, 16))
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _pair(struct.unpack_from("<HH", head, 6))
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head)
        return _webp(head) if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else None
    except (struct.error, IndexError):
        return None


def _jpeg(head: bytes) -> Size | None:
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return _pair((width, height))
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _webp(head: bytes) -> Size | None:
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return _pair((width & 0x3FFF, height & 0x3FFF))
        case b"VP8L":
            bits = struct.unpack_from("<I", head, 21)[0]
            return _pair(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        case b"VP8X":
            return _pair(tuple(int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27)))
        case _:
            return None


def _pair(values: tuple[Any, ...]) -> Size:
    width, height = values
    return int(width), int(height)
