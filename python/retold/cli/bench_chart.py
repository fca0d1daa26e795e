"""A bar chart as SVG, written by hand: one group of bars a case, one bar a racer, as long as it is fast."""

from collections.abc import Sequence
from html import escape

from retold.cli.bench_race import Timing

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP, _TOP = 720, 110, 90, 16, 10, 40
_COLOURS = {"retold": "#0f766e", "tiktoken": "#9ca3af"}
_OTHERS = "#cbd5e1"


def draw(title: str, timings: Sequence[Timing]) -> str:
    """Return the chart of *timings*, in their order; each case has a scale of its own."""
    cases = list(dict.fromkeys(shown.case for shown in timings))
    parts: list[str] = []
    top = _TOP
    for case in cases:
        group = [shown for shown in timings if shown.case == case]
        longest = max(shown.median for shown in group) or 1
        parts.append(_text(12, top + _BAR - 4, f"{case} ({group[0].unit})", weight="bold"))
        top += _BAR + 3
        for shown in group:
            parts.extend(_bar(shown, top, (_WIDTH - _LEFT - _RIGHT) * shown.median / longest))
            top += _BAR + 3
        top += _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="#111827">'
    )
    back = f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    name = f"<title>{escape(title)}</title>"
    return "\n".join((head, name, back, _text(12, 24, title, weight="bold"), *parts, "</svg>", ""))


def _bar(shown: Timing, top: int, length: float) -> tuple[str, ...]:
    colour = _COLOURS.get(shown.racer, _OTHERS)
    middle = top + _BAR - 4
    return (
        _text(_LEFT - 6, middle, shown.racer, anchor="end"),
        f'<rect x="{_LEFT}" y="{top}" width="{max(1.0, length):.1f}" height="{_BAR}" fill="{colour}"/>',
        _text(round(_LEFT + length + 6), middle, f"{shown.median:,.4g}"),
    )


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
