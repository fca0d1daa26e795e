"""What an answer cost, as OpenAI's two forms say it: the same figures, under names of their own."""

from collections.abc import Mapping
from typing import Any

from retold.gateway.reply import Usage
from retold.gateway.untyped import count_in


def read_usage(value: Any, *, given: str, made: str) -> Usage | None:
    """Return what *value* says, where *given* names what was read and *made* what was written; None if it is none."""
    if not isinstance(value, dict):
        return None
    return Usage(
        input_tokens=count_in(value.get(f"{given}_tokens")),
        output_tokens=count_in(value.get(f"{made}_tokens")),
        cached_tokens=_detail(value, given, "cached_tokens"),
        reasoning_tokens=_detail(value, made, "reasoning_tokens"),
    )


def _detail(value: Mapping[str, Any], what: str, name: str) -> int:
    details = value.get(f"{what}_tokens_details")
    return count_in(details.get(name)) if isinstance(details, dict) else 0


def write_usage(usage: Usage, *, given: str, made: str) -> dict[str, Any]:
    """Return *usage* under the names that `read_usage` reads."""
    return {
        f"{given}_tokens": usage.input_tokens,
        f"{given}_tokens_details": {"cached_tokens": usage.cached_tokens},
        f"{made}_tokens": usage.output_tokens,
        f"{made}_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
