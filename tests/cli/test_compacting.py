"""``retold compact``, ``manage`` and ``window``, as a user types them."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Retold


def test_messages_are_compacted_in_one_command(retold: Retold, transcript: Path) -> None:
    """I give a file of messages and a budget, and get messages of the same form that fit it."""
    done = retold("compact", transcript, "--budget", "2500")
    assert done.returncode == 0, done.stderr
    messages = json.loads(done.stdout)
    assert messages[0] == {"role": "system", "content": "Never touch main."}
    assert "offload" in done.stderr
    told = json.loads(
        retold("compact", "--budget", "600", "--policy", "codex", "--json", given=transcript.read_text()).stdout
    )
    assert told["tokens"] <= 600
    assert told["tier"] == "summary"
    assert told["receipt"]["target_tokens"] == 600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget", "600", "--policy", "best"), "expected a policy among ladder, agkit"),
        (("--budget", "0"), "at least 1 token"),
        (("--budget", "600", "--keep-recent", "-1"), "keep_recent of 0 or more, got -1"),
        (("--budget", "5"), "5"),
    ],
)
def test_what_cannot_be_compacted_is_said(
    retold: Retold, transcript: Path, words: tuple[str, ...], message: str
) -> None:
    """A wrong policy or budget is refused with what was expected, and nothing is printed as if it were a result."""
    done = retold("compact", transcript, *words)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_session_goes_on_with_another_model(retold: Retold, transcript: Path) -> None:
    """I import under a policy, ask for what is not due, change the window, and then it is due."""
    assert retold("import", transcript, "--session", "s", "--policy", "agkit").returncode == 0
    assert "nothing was asked for" in retold("manage", "s").stdout
    assert "asked for a compaction of s: seq" in retold("manage", "s", "--now").stdout
    changed = retold("window", "s", "--hard-limit", "1000", "--json")
    assert json.loads(changed.stdout)["pre_rot"] == 900
    assert retold("window", "s", "--hard-limit", "0").returncode == 2
    retold("import", transcript, "--session", "c", "--policy", "codex")
    assert "compacted from 900 on" in retold("window", "c", "--hard-limit", "1000").stdout
    assert retold("import", transcript, "--policy", "none").returncode == 2
