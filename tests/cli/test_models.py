"""A worker of the command line that asks models."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Retold
from tests.summarizers.conversations import conversation
from tests.summarizers.provider import SEALED, provider

from retold.formats import render


@pytest.fixture
def long_transcript(tmp_path: Path) -> Path:
    """Give a chat transcript that is long enough to be summarised."""
    path = tmp_path / "long.jsonl"
    lines = [json.dumps(message) for message in render(conversation(), "chat")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _worked(retold: Retold, transcript: Path, policy: str, *, option: str) -> list[dict[str, Any]]:
    """Import the transcript, let a worker compact it with a scripted provider, and return what `show` says of it."""
    sizes = ("--hard-limit", "20000", "--pre-rot", "12000")
    assert retold("import", transcript, *sizes, "--policy", policy).returncode == 0
    variables = {"OPENAI_API_KEY": "key-of-a-test"}

    async def run() -> None:
        async with provider() as fake:
            told = {**variables, "RETOLD_REMOTE_URL": fake.url, "RETOLD_SUMMARIZER_URL": fake.url}
            done = await asyncio.to_thread(retold, "worker", "--once", option, "openai:model-1", **told)
            assert done.returncode == 0, done.stderr
            assert "key-of-a-test" not in done.stdout + done.stderr
            assert fake.requests

    asyncio.run(run())
    shown = json.loads(retold("show", "long", "--json").stdout)
    return [one for one in shown["compactions"] if one.get("tier") == "summary"]


@pytest.mark.slow
def test_a_worker_asks_the_model_that_i_name(retold: Retold, long_transcript: Path) -> None:
    """`retold worker --summarizer` has a model write summaries, and `show` says who wrote them and what it cost."""
    rows = _worked(retold, long_transcript, "ladder", option="--summarizer")
    assert {row["summarizer"] for row in rows} == {"openai:model-1"}
    assert rows[0]["output_tokens"] == 321
    assert "summary by openai:model-1" in retold("show", "long").stdout


@pytest.mark.slow
def test_a_provider_compacts_and_another_model_reads_words(retold: Retold, long_transcript: Path) -> None:
    """`retold worker --remote` keeps the provider's block; `history --model` shows what another model is sent."""
    rows = _worked(retold, long_transcript, "codex-remote", option="--remote")
    assert {row["summarizer"] for row in rows} == {"openai-remote:model-1"}
    own = retold("history", "long", "--format", "responses").stdout
    other = retold("history", "long", "--format", "responses", "--model", "model-2").stdout
    assert (SEALED in own, "retold-summary" in own) == (True, False)
    assert (SEALED in other, "retold-summary" in other) == (False, True)


def test_an_address_without_a_model_is_wrong_usage(retold: Retold) -> None:
    """An address for the summarizer that asks no server is an error, not a worker that extracts without a word."""
    done = retold("worker", "--once", "--summarizer-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert "openai:MODEL" in done.stderr
