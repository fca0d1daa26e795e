"""What a picture costs, by the formulas that providers publish."""

from typing import Any, Final

from retold.events import Form
from retold.fold.counting import IMAGE_TOKENS
from retold.formats.pixels import Size, size_of_part

ANTHROPIC_EDGE: Final = 1_568
"""Anthropic scales a picture down until its longer side has this many pixels at most."""

ANTHROPIC_TOKENS_MAX: Final = 1_600
"""And until it takes this many tokens at most."""

ANTHROPIC_PIXELS: Final = 750
"""Pixels a token."""

TILE: Final = 512
TILE_TOKENS: Final = 170
TILE_BASE_TOKENS: Final = 85
"""GPT-4o's figures, the largest of the models that count tiles; with low detail the base alone is charged."""

TILED_EDGE: Final = 2_048
TILED_SHORT_EDGE: Final = 768
"""A picture is scaled to fit a square of the one, then until its shorter side has the other."""


def picture_tokens(part: Any, form: Form) -> int:
    """Return what the picture in a provider's *part* takes; where its size is not known, what Codex charges for one."""
    if form != "anthropic" and _detail(part) == "low":
        return TILE_BASE_TOKENS
    size = size_of_part(part)
    if size is None:
        return IMAGE_TOKENS
    return _anthropic(size) if form == "anthropic" else _tiled(size)


def _detail(part: Any) -> Any:
    url = part.get("image_url") if isinstance(part, dict) else None
    return url.get("detail") if isinstance(url, dict) else part.get("detail") if isinstance(part, dict) else None


def _anthropic(size: Size) -> int:
    width, height = _within(size, longer=ANTHROPIC_EDGE)
    return min(ANTHROPIC_TOKENS_MAX, -(-width * height // ANTHROPIC_PIXELS))


def _tiled(size: Size) -> int:
    width, height = _within(size, longer=TILED_EDGE)
    shorter = min(width, height)
    if shorter > TILED_SHORT_EDGE:
        width, height = width * TILED_SHORT_EDGE // shorter, height * TILED_SHORT_EDGE // shorter
    return TILE_BASE_TOKENS + TILE_TOKENS * -(-width // TILE) * -(-height // TILE)


def _within(size: Size, *, longer: int) -> Size:
    most = max(size)
    return size if most <= longer else (max(1, size[0] * longer // most), max(1, size[1] * longer // most))
