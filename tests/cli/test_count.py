"""``retold count``: a request's size on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

pytestmark = pytest.mark.slow


def test_a_request_in_a_file_is_counted(retold: Retold, tmp_path: Path) -> None:
    """I see the size of the request that I am about to send, part by part, and as JSON."""
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"model": "gpt-4.1", "input": "What is 2+2?"}), encoding="utf-8")
    shown = retold("count", file)
    assert shown.returncode == 0
    assert "14 tokens in responses form, reconstructed" in shown.stdout
    row = json.loads(retold("count", file, "--json").stdout)
    assert (row["tokens"], row["label"], row["tools"]["reconstructed"]) == (14, "reconstructed", 0)
    assert row["lower"] <= 14 <= row["upper"]


def test_a_request_may_come_by_stdin_and_with_a_mark_of_its_encoding(retold: Retold, tmp_path: Path) -> None:
    """I may pipe a request in, and one that an editor on Windows saved is read too."""
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"model": "gpt-4.1", "input": "What is 2+2?"}), encoding="utf-8-sig")
    assert "14 tokens" in retold("count", file).stdout
    assert "14 tokens" in retold("count", "-", given=file.read_text(encoding="utf-8-sig")).stdout


@pytest.mark.parametrize("content", ["{", '"x"', "[7]", None])
def test_a_file_that_holds_no_request_is_wrong_usage(retold: Retold, tmp_path: Path, content: str | None) -> None:
    """A file that cannot be read or is no request ends with exit code 2 and one line that says why."""
    file = tmp_path / "request.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    done = retold("count", file)
    assert done.returncode == 2
    assert done.stderr.startswith("retold: expected")
    assert len(done.stderr.splitlines()) == 1
