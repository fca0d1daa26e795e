"""Pictures: their size is read from what is sent, and what they take follows from it."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.fold.counting import IMAGE_TOKENS
from retold.formats.pixels import size_of_bytes, size_of_part
from retold.framing.pictures import ANTHROPIC_TOKENS_MAX, picture_tokens


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def _jpeg(width: int, height: int) -> bytes:
    notes = b"\xff\xe1" + struct.pack(">H", 1_002) + b"\xff" * 1_000
    return b"\xff\xd8" + notes + b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)


def _webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 0) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def _vp8x(width: int, height: int) -> bytes:
    return bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


FILES = {
    "png": _png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480),
    "jpeg": _jpeg(640, 480),
    "webp lossy": _webp(b"VP8 ", bytes(6) + struct.pack("<HH", 640, 480)),
    "webp lossless": _webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
    "webp extended": _webp(b"VP8X", _vp8x(640, 480)),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_size_of_each_kind_of_picture_is_read(kind: str) -> None:
    """PNG, GIF, JPEG and WebP say how large they are in their first bytes."""
    assert size_of_bytes(FILES[kind]) == (640, 480)


@law(300)
@given(st.sampled_from(list(FILES.values())), st.integers(0, 40), st.binary(max_size=8))
def test_a_picture_that_is_cut_off_or_damaged_has_no_size_or_some_size(file: bytes, end: int, tail: bytes) -> None:
    """A broken picture does not make counting fail."""
    size = size_of_bytes(file[:end] + tail)
    assert size is None or len(size) == 2


def _anthropic(file: bytes) -> dict[str, Any]:
    data = base64.b64encode(file).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def _chat(file: bytes, **fields: str) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(file).decode()}"
    return {"type": "image_url", "image_url": {"url": url, **fields}}


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 54), (1_000, 1_000, 1_334), (1_092, 1_092, 1_590), (4_000, 3_000, ANTHROPIC_TOKENS_MAX)],
)
def test_anthropic_takes_a_token_for_750_pixels_up_to_its_limit(width: int, height: int, tokens: int) -> None:
    """A picture for Claude takes what Anthropic's documentation says."""
    assert picture_tokens(_anthropic(_png(width, height)), "anthropic") == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"), [(1_024, 1_024, 765), (2_048, 4_096, 1_105), (300, 300, 255), (8_000, 10, 765)]
)
def test_openai_takes_tiles(width: int, height: int, tokens: int) -> None:
    """A picture for GPT takes what OpenAI's documentation works out for it."""
    part = {"type": "input_image", "image_url": _chat(_png(width, height))["image_url"]["url"]}
    assert picture_tokens(_chat(_png(width, height)), "chat") == tokens
    assert picture_tokens(part, "responses") == tokens


def test_low_detail_takes_the_base_alone() -> None:
    """A picture that I ask to be looked at in low detail takes 85 tokens, whatever its size."""
    assert picture_tokens(_chat(_png(4_000, 4_000), detail="low"), "chat") == 85
    assert picture_tokens({"type": "input_image", "file_id": "f", "detail": "low"}, "responses") == 85


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,é~~~"}},
        {"type": "image_url"},
        _chat(_png(0, 5)),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ],
)
def test_a_picture_that_is_elsewhere_takes_what_codex_charges(part: dict[str, Any]) -> None:
    """A picture whose size cannot be known takes a fixed number."""
    assert size_of_part(part) is None
    assert picture_tokens(part, "chat") == IMAGE_TOKENS
