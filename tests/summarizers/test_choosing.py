"""Which summarizer, and which provider, a name stands for."""

import sys
from pathlib import Path

import pytest

from retold.errors import InputError
from retold.summarizers import ExtractiveSummarizer
from retold.wiring import models_of, remote_of, summarizer_of

_URL = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the keys of whoever runs the tests away."""
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "OPENAI_BASE_URL",
        "ANTHROPIC_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    for setting in ("SUMMARIZER", "SUMMARIZER_URL", "REMOTE", "REMOTE_URL"):
        monkeypatch.delenv(f"RETOLD_{setting}", raising=False)


@pytest.mark.parametrize("name", ["openai:gpt-5", "openai-chat:gpt-5", "openai-responses:gpt-5", "anthropic:claude-5"])
def test_a_model_is_named_by_its_provider(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """I name a provider and a model, and the key is my environment's."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-1")
    assert summarizer_of(name).name == name


def test_a_server_of_one_s_own_needs_no_key() -> None:
    """Ollama and vLLM are named by their address, without a key."""
    assert summarizer_of("openai:llama4", url=_URL).name == "openai:llama4"


@pytest.mark.parametrize(
    "url", ["nope", "localhost:11434/v1", "http://", "ftp://x", "http://[::1", "http://x y/", "http://h:99999"]
)
@pytest.mark.parametrize("name", ["openai:llama4", "anthropic:claude-5"])
def test_an_address_that_nothing_can_be_at_is_refused(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped address is an error before anything runs, not a worker whose every summary fails."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-1")
    for choose in (summarizer_of, remote_of):
        with pytest.raises(InputError, match="expected a model's address as http://HOST"):
            choose(name, url=url)


@pytest.mark.parametrize("name", ["openai:gpt-5", "anthropic:claude-5"])
def test_a_missing_key_is_named(name: str) -> None:
    """Without a key I am told which variable is expected, before anything runs."""
    with pytest.raises(InputError, match=f"{name.partition(':')[0].upper()}_API_KEY"):
        summarizer_of(name)
    with pytest.raises(InputError, match=f"{name.partition(':')[0].upper()}_API_KEY"):
        remote_of(name)


@pytest.mark.parametrize("name", ["", "openai", "openai:", "gpt-5", "google:gemini", "Extractive"])
def test_a_name_that_stands_for_nothing_is_refused(name: str) -> None:
    """A misspelt summarizer is an error that says what there is."""
    with pytest.raises(InputError, match="extractive, openai:MODEL or anthropic:MODEL"):
        summarizer_of(name)


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("openai:gpt-5", "openai-remote:gpt-5"),
        ("openai", "openai-remote"),
        ("openai-trigger:gpt-5", "openai-trigger:gpt-5"),
        ("anthropic:claude-5", "anthropic-remote:claude-5"),
        ("anthropic-edit", "anthropic-edit"),
    ],
)
def test_a_provider_compacts_in_one_of_its_ways(name: str, recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """I name whose compaction is used, with a model or for the session's own."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-1")
    assert remote_of(name).name == recorded
    with pytest.raises(InputError, match="openai, openai-trigger, anthropic or anthropic-edit"):
        remote_of("google")


@pytest.mark.parametrize("extra", ["openai", "anthropic"])
def test_a_missing_extra_is_named(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a provider's client is not installed, I am told what to install."""
    for module in [name for name in sys.modules if name.startswith(f"retold.summarizers.{extra}_")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr("retold.summarizers." + module.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(InputError, match=rf"pip install 'retold\[{extra}\]'"):
        summarizer_of(f"{extra}:model")
    with pytest.raises(InputError, match=rf"pip install 'retold\[{extra}\]'"):
        remote_of(extra)


def test_the_settings_say_what_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments a worker is as the environment says; without that, by extraction, and nobody remote."""
    summarizer, remote = models_of()
    assert isinstance(summarizer, ExtractiveSummarizer)
    assert remote is None
    monkeypatch.setenv("RETOLD_SUMMARIZER", "openai:llama4")
    monkeypatch.setenv("RETOLD_SUMMARIZER_URL", _URL)
    monkeypatch.setenv("RETOLD_REMOTE", "openai:gpt-5")
    monkeypatch.setenv("RETOLD_REMOTE_URL", _URL)
    summarizer, remote = models_of()
    assert summarizer.name == "openai:llama4"
    assert remote is not None
    assert remote.name == "openai-remote:gpt-5"
    assert models_of("extractive")[0].name == "extractive"
