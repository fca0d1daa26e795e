"""Run the real command line as a user does: a process of its own, on a store of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def retold(tmp_path: Path) -> Retold:
    """Give a function that runs ``retold`` with the given words on an embedded server of this test's own."""
    environment = {**os.environ, "RETOLD_DATA_DIR": str(tmp_path / "store"), "RETOLD_PROFILE": "fast"}

    def run(*words: str | Path, given: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        command, told = [sys.executable, "-m", "retold.cli", *map(str, words)], environment | variables
        return subprocess.run(command, env=told, input=given, capture_output=True, text=True, timeout=50, check=False)

    return run


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    """Give a small chat transcript: a question, six tool calls with long results, an answer."""
    lines = ['{"role":"system","content":"Never touch main."}', '{"role":"user","content":"Why does it fail?"}']
    for number in range(6):
        call = f'{{"id":"c{number}","type":"function","function":{{"name":"run_tests","arguments":"{{}}"}}}}'
        lines.append(f'{{"role":"assistant","content":null,"tool_calls":[{call}]}}')
        lines.append(f'{{"role":"tool","tool_call_id":"c{number}","content":"{"FAILED test 1 != 2; " * 60}"}}')
    lines.append('{"role":"assistant","content":"The linker flags are wrong."}')
    path = tmp_path / "small.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
