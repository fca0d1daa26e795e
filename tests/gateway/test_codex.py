"""The real Codex CLI goes on in every case, with a gateway before a server that cannot compact.

Runs where ``RETOLD_CODEX`` names the binary (``npm install @openai/codex``); else it is skipped.
"""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tests.gateway.codex import CASES, Case, play

_BINARY = shutil.which(os.environ.get("RETOLD_CODEX", "")) or ""


@pytest.mark.slow
@pytest.mark.skipif(not _BINARY, reason="RETOLD_CODEX names no program")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "-"))
def test_codex_goes_on(case: Case, tmp_path: Path) -> None:
    """Every turn is completed, the user's requests are there, no call is alone, and there is a summary."""
    outcome = asyncio.run(play(case, tmp_path / "codex", _BINARY, with_gateway=True))
    assert outcome.faults(case) == []
