"""A bar chart as SVG, written by hand: one group of bars a case, one bar a racer, with how it stands to Retold.

It brings its own ground, light or dark as the reader's system is, so that it can be read on any page; what it shows is
also in its description, in words.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from retold.cli.bench_race import Timing

_WIDTH, _MARGIN, _LEFT, _RIGHT, _BAR, _LINE, _GAP, _TOP = 760, 16, 116, 176, 16, 21, 14, 66

_OWN: Final = "retold"
_STYLE: Final = """<style>
.ground{fill:#fff;stroke:#d1d5db}text{fill:#1f2937}.quiet{fill:#57606a}.own{fill:#0f766e}.other{fill:#94a3b8}
@media(prefers-color-scheme:dark){
.ground{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}.quiet{fill:#9198a1}.own{fill:#2dd4bf}.other{fill:#64748b}}
</style>"""


def draw(title: str, timings: Sequence[Timing]) -> str:
    """Return the chart of *timings*, cases in their order, each on a scale of its own and with Retold's bar first."""
    cases = list(dict.fromkeys(shown.case for shown in timings))
    parts: list[str] = []
    said: list[str] = []
    top = _TOP
    for case in cases:
        group = _ranked([shown for shown in timings if shown.case == case])
        parts.append(_text(_MARGIN, top + _BAR - 4, f"{case} ({group[0].unit})", weight="600"))
        top += _LINE
        longest = max(shown.median for shown in group) or 1
        for shown in group:
            parts.extend(_bar(shown, group[0], top, (_WIDTH - _LEFT - _RIGHT) * shown.median / longest))
            top += _LINE
        said.append(f"{case} in {group[0].unit}: " + ", ".join(_words(shown, group[0]) for shown in group) + ".")
        top += _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        'role="img" aria-labelledby="title description" font-family="system-ui, sans-serif">'
    )
    return "\n".join(
        (
            head,
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(" ".join(said))}</desc>',
            _STYLE,
            f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{top - 1}" rx="6"/>',
            _text(_MARGIN, 28, title, weight="600", size=16),
            _text(_MARGIN, 48, _reading(timings), kind="quiet"),
            *parts,
            "</svg>",
            "",
        )
    )


def _ranked(group: list[Timing]) -> list[Timing]:
    """Return Retold first, then the others, the best first."""
    return sorted(group, key=lambda shown: (shown.racer != _OWN, -shown.median if shown.more else shown.median))


def _reading(timings: Sequence[Timing]) -> str:
    """Return how the chart is to be read."""
    better = "Longer" if all(shown.more for shown in timings) else "Shorter"
    return f"{better} is better. N×: Retold is N times as fast."  # noqa: RUF001 - the sign of multiplication


def _ratio(shown: Timing, own: Timing) -> float | None:
    """Return how many times as fast as *shown* Retold is, if both are more than nothing."""
    if shown is own or own.racer != _OWN or not shown.median or not own.median:
        return None
    return own.median / shown.median if shown.more else shown.median / own.median


def _words(shown: Timing, own: Timing) -> str:
    ratio = _ratio(shown, own)
    return f"{shown.racer} {_amount(shown.median)}" + ("" if ratio is None else f" (Retold {_times(ratio)})")


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 10 else f"{ratio:.2g}×"  # noqa: RUF001 - the sign of multiplication


def _bar(shown: Timing, own: Timing, top: int, length: float) -> tuple[str, ...]:
    kind = "own" if shown.racer == _OWN else "other"
    middle = top + _BAR - 4
    ratio = _ratio(shown, own)
    value = _amount(shown.median) + ("" if ratio is None else f"  ·  {_times(ratio)}")
    return (
        _text(_LEFT - 8, middle, shown.racer, anchor="end", weight="600" if kind == "own" else "400"),
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{max(1.0, length):.1f}" height="{_BAR}" rx="2"/>',
        _text(round(_LEFT + max(1.0, length) + 8), middle, value),
    )


def _text(  # noqa: PLR0913 - what a line of text has
    x: int, y: int, text: str, *, anchor: str = "start", weight: str = "400", size: int = 13, kind: str = ""
) -> str:
    marks = f' class="{kind}"' if kind else ""
    return (
        f'<text{marks} x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">'
        f"{escape(text)}</text>"
    )
