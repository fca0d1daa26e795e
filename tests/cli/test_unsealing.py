"""``retold unseal``: the owner reads what agents carry; nobody else does."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Retold

from retold.key_files import add_master_key
from retold.security import Binding, MasterKeys, SealedSummary, seal_summary

SUMMARY = SealedSummary(text="The linker flags are wrong.", source="5" * 64)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Give a key file with one master key."""
    path = tmp_path / "master.keys"
    add_master_key(path, "k1")
    return path


def sealed_by(key_file: Path, *, tenant: str = "default", text: str = SUMMARY.text) -> str:
    """Return a summary, sealed with a new key of *key_file*."""
    key = add_master_key(key_file, f"k{len(key_file.read_text(encoding='utf-8').splitlines())}")
    summary = SealedSummary(text=text, source=SUMMARY.source)
    return seal_summary(summary, Binding(tenant, "gpt", "s"), keys=MasterKeys(keys=(key,)))


@pytest.mark.slow
def test_the_owner_reads_what_is_sealed_in_a_rollout(retold: Retold, key_file: Path, tmp_path: Path) -> None:
    """From a Codex rollout or a request's body I get what each summary says, and where it belongs."""
    sealed = sealed_by(key_file)
    item = {"type": "compaction", "encrypted_content": sealed}
    rollout = tmp_path / "rollout.jsonl"
    lines = [{"type": "session_meta"}, {"type": "compacted", "payload": {"replacement_history": [item, item]}}]
    rollout.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = retold("unseal", "-", "--json", given=json.dumps({"input": [item]}), RETOLD_KEY_FILE=str(key_file))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["summaries"]
    assert (row["text"], row["session"], row["family"], row["source"]) == (SUMMARY.text, "s", "gpt", "5" * 64)
    plain = retold("unseal", rollout, "--key-file", key_file)
    assert "session s" in plain.stdout
    assert SUMMARY.text in plain.stdout


@pytest.mark.slow
def test_what_does_not_open_is_named(retold: Retold, key_file: Path, tmp_path: Path) -> None:
    """Another tenant's, a changed one, or one of a key that I have not: exit code 1, and why; the others are shown."""
    given = "\n".join([sealed_by(key_file), sealed_by(key_file, tenant="acme"), f"{sealed_by(key_file)}="])
    done = retold("unseal", "-", "--json", "--key-file", key_file, given=given)
    assert done.returncode == 1
    errors = [row["error"] for row in json.loads(done.stdout)["summaries"]]
    assert errors == [None, "damaged or another tenant's", "format"]
    other = tmp_path / "other.keys"
    add_master_key(other, "k9")
    assert "unknown key" in retold("--tenant", "acme", "unseal", "-", "--key-file", other, given=given).stdout


@pytest.mark.slow
def test_wrong_usage_is_told(retold: Retold, key_file: Path) -> None:
    """Without a sealed summary, or with something else than JSON, I am told what was expected."""
    for given in ('{"input":"hello"}', "hello"):
        done = retold("unseal", "-", "--key-file", key_file, given=given)
        assert (done.returncode, done.stdout) == (2, "")
        assert "expected a sealed summary" in done.stderr
