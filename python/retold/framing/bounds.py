"""How far a count may be off, by form and by how each part is known. From measurement: benches/README.md."""

import re
from typing import Final

from msgspec import Struct

from retold.events import Form
from retold.sizes import Tokens

UNIT: Final = 1_000


class Bounds(Struct, frozen=True):
    """Hold the least and the most, in thousandths of what was counted, of each kind of part."""

    exact: tuple[int, int]
    reconstructed: tuple[int, int]
    estimated: tuple[int, int]


OWN: Final = Bounds(exact=(990, 1_040), reconstructed=(800, 1_300), estimated=(500, 1_500))
"""Counted by the provider's vocabulary. Texts are exact, but a request holds more than we are shown: reasoning that
stays at the provider, what is wrapped around parallel calls."""

FOREIGN: Final = Bounds(exact=(1_000, 1_000), reconstructed=(800, 1_500), estimated=(900, 1_500))
"""Counted by another's vocabulary: Claude up to 4.6 takes 1.1 to 1.4 of what o200k_base counts, DeepSeek 1.1."""

FOREIGN_NEW: Final = Bounds(exact=(1_000, 1_000), reconstructed=(800, 2_200), estimated=(900, 2_200))
"""The same for Claude from 4.7 on, and where the model is not named: Opus 5 takes 1.6 to 2.0."""

_CLAUDE_TO_4_6: Final = re.compile(r"(.*[./])?claude-(3|[a-z]+-(3|4(-[0-6])?(-\d{8}|$)|4-[0-6]))")


def bounds_of(size: Tokens, *, files_tokens: int, model: str, is_own: bool, form: Form) -> tuple[int, int]:
    """Return the least and the most that a provider charges for a request of *size*, in tokens.

    *files_tokens* of it are files. Providers count their pages or seconds, which we do not read, so that the least of
    these is nothing.
    """
    known = OWN if is_own else FOREIGN if _is_settled(model, form) else FOREIGN_NEW
    rest = size.estimated - files_tokens
    parts = ((size.exact, known.exact), (size.reconstructed, known.reconstructed), (rest, known.estimated))
    return (
        sum(part * low // UNIT for part, (low, _) in parts),
        sum(-(-part * high // UNIT) for part, (_, high) in (*parts, (files_tokens, known.estimated))),
    )


def _is_settled(model: str, form: Form) -> bool:
    return _CLAUDE_TO_4_6.match(model) is not None or form != "anthropic"
