"""Compactions that were recorded from the providers are read as they came."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from retold.errors import RejectedError
from retold.events import Form
from retold.formats import render, to_items
from retold.summarizers.blocks import one_block

_CASSETTES = Path(__file__).parents[3] / "shared" / "data" / "api-cassettes"


def _answers(pattern: str) -> list[Any]:
    files = sorted(_CASSETTES.glob(pattern))
    if not files:
        pytest.skip("the recorded calls are not here")
    recorded = [one for file in files for one in msgspec.yaml.decode(file.read_bytes())["interactions"]]
    return [one["response"]["parsed_body"] for one in recorded]


@pytest.mark.parametrize(
    ("pattern", "field", "form", "found"),
    [
        ("*responses_compact*", "output", "responses", 5),
        ("*anthropic_compaction*", "content", "anthropic", 1),
    ],
)
def test_recorded_compactions_are_found_and_sent_again_as_they_came(
    pattern: str, field: str, form: Form, found: int
) -> None:
    """In what providers really answered, the one compaction is found, kept, and sent again with equal fields."""
    blocks = 0
    for answer in _answers(pattern):
        output = [Raw(msgspec.json.encode(item)) for item in answer[field]]
        if not any("compaction" in item["type"] for item in answer[field]):
            with pytest.raises(RejectedError, match="no compaction"):
                one_block(output, form, provider="p", model="m")
            continue
        block = one_block(output, form, provider="p", model="m")
        assert block.body.encode() in [bytes(raw) for raw in output]
        rendered = render([block], form)
        sent = rendered[0] if form == "responses" else rendered[0]["content"][0]
        assert sent == msgspec.json.decode(block.body)
        message = sent if form == "responses" else {"role": "assistant", "content": [sent]}
        (again,) = to_items(message, form=form)
        assert render([again], form) == rendered
        blocks += 1
    assert blocks == found
