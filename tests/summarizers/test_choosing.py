"""Which summarizer, and which provider, a name stands for."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retold.errors import InputError
from retold.log import MemoryLog
from retold.summarizers import ExtractiveSummarizer, anthropic_models, openai_models
from retold.wiring import client_of, closing_models, models_of, remote_of, run_worker, summarizer_of, worker_for
from retold.worker import Hooks

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


@pytest.mark.parametrize("choice", ["extractive", ExtractiveSummarizer(), lambda *_: "text"], ids=repr)
def test_an_address_is_for_a_model(choice: Any) -> None:
    """An address beside a summarizer that asks no server is an error: I meant to name a model, too."""
    for choose in (summarizer_of, models_of):
        with pytest.raises(InputError, match="openai:MODEL"):
            choose(choice, url=_URL)
    with pytest.raises(InputError, match="openai:MODEL"):
        models_of(url=_URL)


def test_the_address_of_the_environment_is_for_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has an address, extraction and a function of my own may still be asked for."""
    monkeypatch.setenv("RETOLD_SUMMARIZER_URL", _URL)
    assert models_of("extractive")[0].name == "extractive"
    assert models_of(lambda *_: "text")[0].name == "<lambda>"


@pytest.mark.parametrize("name", ["openai:gpt-5", "anthropic:claude-5"])
@pytest.mark.parametrize("key", ["sk-ключ", "sk-1\n", " sk-1", "sk 1", "“sk-1”"], ids=ascii)
def test_a_key_that_cannot_be_sent_is_named_at_once(name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with a line break or a letter that is not ASCII is an error before anything runs, and is not told."""
    variable = f"{name.partition(':')[0].upper()}_API_KEY"
    monkeypatch.setenv(variable, key)
    for choose in (summarizer_of, remote_of):
        with pytest.raises(InputError, match=f"{variable}.*ASCII") as error:
            choose(name)
        assert "sk" not in str(error.value)


@pytest.mark.parametrize("name", ["openai:gpt-5", "anthropic:claude-5"])
def test_an_empty_key_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing holds no key."""
    variable = f"{name.partition(':')[0].upper()}_API_KEY"
    monkeypatch.setenv(variable, "")
    with pytest.raises(InputError, match=f"{variable}, got none"):
        summarizer_of(name)


@pytest.mark.parametrize("wrong", [5, object(), [], Hooks()], ids=repr)
def test_what_is_no_summarizer_is_refused(wrong: Any) -> None:
    """Something else than a summarizer, a provider or hooks is an error before a worker runs, not when it compacts."""
    for choose in (summarizer_of, remote_of):
        with pytest.raises(InputError, match="expected a"):
            choose(wrong)


@pytest.mark.parametrize("wrong", [5, Hooks, ExtractiveSummarizer()], ids=repr)
def test_what_are_no_hooks_is_refused(wrong: Any) -> None:
    """A class of hooks in place of one of its objects is named, too."""
    with pytest.raises(InputError, match="expected hooks"):
        worker_for(MemoryLog(), hooks=wrong)


@pytest.mark.parametrize(
    ("summarizer", "remote"), [("openai:gpt-5", "anthropic:claude-5"), ("anthropic:claude-5", "openai-trigger:gpt-5")]
)
def test_a_worker_closes_the_clients_that_it_opened(
    summarizer: str, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When my worker ends, no connection to a provider is left open; what I handed over is mine to close."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-1")
    opened: list[Any] = []
    for module in (openai_models, anthropic_models):
        monkeypatch.setattr(module, "open_client", _noting(module.open_client, opened))

    async def run() -> None:
        client = client_of(MemoryLog())
        async with run_worker(client, summarizer=summarizer, remote=remote):
            assert [one.is_closed() for one in opened] == [False, False]
        assert [one.is_closed() for one in opened] == [True, True]
        own, provider = models_of(summarizer, remote=remote)
        async with run_worker(client, summarizer=own, remote=provider):
            pass
        assert [one.is_closed() for one in opened[2:]] == [False, False]
        async with closing_models(own, provider):
            pass
        assert all(one.is_closed() for one in opened)

    asyncio.run(run())


def _noting(open_client: Callable[..., Any], opened: list[Any]) -> Callable[..., Any]:
    def opening(base_url: str | None, *, key: str | None = None) -> Any:
        opened.append(open_client(base_url, key=key))
        return opened[-1]

    return opening
