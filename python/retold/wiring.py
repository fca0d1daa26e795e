"""What implements what: the only place that names implementations."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uuid_utils

from retold.client import Client
from retold.errors import InputError, UnavailableError
from retold.key_files import read_key_file
from retold.log.broker import Broker, open_broker
from retold.log.dead_letters import DeadLetters
from retold.log.embedded import EmbeddedServer, find_running, is_used, server_program
from retold.log.inspecting import inspect_aside, inspect_keys, inspect_leases, inspect_server
from retold.log.jetstream import JetStreamLog, connect_log
from retold.log.servers import Server
from retold.log.sweeping import Sweeper, open_sweeper
from retold.model_ports import Closable, RemoteCompactor, Summarizer
from retold.ports import Log
from retold.security import MasterKeys
from retold.settings import Profile, read_settings
from retold.summarizers import ExtractiveSummarizer, FunctionSummarizer, ModelSummarizer, SummaryFunction
from retold.worker import Hooks, LeasedPartitions, Limits, Worker

if TYPE_CHECKING:
    from retold.monitoring.monitor import Monitor

__all__ = [
    "SystemClock",
    "client_of",
    "closing_models",
    "connect",
    "embedded_server",
    "find_running",
    "inspect_aside",
    "inspect_keys",
    "inspect_leases",
    "inspect_server",
    "is_used",
    "leases_for",
    "letters",
    "models_of",
    "monitored",
    "remote_of",
    "reports",
    "run_worker",
    "server_at",
    "server_program",
    "summarizer_of",
    "sweeper",
    "worker_for",
]


class SystemClock:
    """Tell the machine's time and make ids from it."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> str:
        """Return a new UUIDv7 as text."""
        return str(uuid_utils.uuid7())


@asynccontextmanager
async def connect(
    url: str | None = None,
    *,
    data_dir: str | Path | None = None,
    profile: Profile | None = None,
    actor: str = "agent",
    keys: str | Path | MasterKeys | None = None,
) -> AsyncIterator[Client]:
    """Connect to the log at *url*; without one, to the embedded server of *data_dir*, started if it is not running.

    The embedded server is shared: it runs until the last process that uses it leaves. With *keys*, master keys or the
    file that holds them (by default that of the settings), the log is sealed from now on, for all who use it.

    Raises:
        UnavailableError: if the server cannot be reached or started, or others use it with another *profile*.
        InputError: if it holds streams of the same names that are not Retold's, or *keys* are none.
    """
    settings = read_settings()
    masters = keys if isinstance(keys, MasterKeys) else _masters(keys or settings.key_file)
    async with (
        _address(url, data_dir, profile) as address,
        connect_log(address, replicas=settings.replicas, masters=masters) as log,
    ):
        yield client_of(log, actor=actor)


@asynccontextmanager
async def sweeper(url: str | None = None, *, data_dir: str | Path | None = None) -> AsyncIterator[Sweeper]:
    """Give what finds and removes large bodies that nothing claims, on the log that `connect` would open.

    Raises as `connect`.
    """
    async with _address(url, data_dir, None) as address, open_sweeper(address) as found:
        yield found


@asynccontextmanager
async def letters(
    url: str | None = None, *, data_dir: str | Path | None = None
) -> AsyncIterator[tuple[JetStreamLog, DeadLetters]]:
    """Give the log, and the letters on messages in it that are no events; raises as `connect`."""
    async with _address(url, data_dir, None) as address, connect_log(address, name="retold dead") as log:
        yield log, log.letters


@asynccontextmanager
async def reports(url: str | None = None, *, data_dir: str | Path | None = None) -> AsyncIterator[Broker]:
    """Give whom to ask for the reports of all workers, on a connection of its own; raises as `connect`."""
    async with _address(url, data_dir, None) as address, open_broker(address) as broker:
        yield broker


@asynccontextmanager
async def _address(
    url: str | None, data_dir: str | Path | None, profile: Profile | None
) -> AsyncIterator[str | Server]:
    """Give the server that is asked for, by argument or setting; else the embedded one, while it is used."""
    settings = read_settings()
    async with AsyncExitStack() as stack:
        named = url or settings.url
        if named is None:
            directory = settings.data_dir if data_dir is None else Path(data_dir)
            yield (await stack.enter_async_context(embedded_server(directory, profile=profile))).url
        else:
            yield server_at(named)


def server_at(url: str) -> Server:
    """Return the server at *url* with what the settings say opens it: credentials and certificates."""
    settings = read_settings()
    return Server(
        url,
        creds=settings.nats_creds,
        tls_ca=settings.nats_tls_ca,
        tls_cert=settings.nats_tls_cert,
        tls_key=settings.nats_tls_key,
    )


def _masters(file: str | Path | None) -> MasterKeys | None:
    return None if file is None else read_key_file(Path(file).expanduser())


def client_of(log: Log, *, actor: str = "agent") -> Client:
    """Return a client on *log* that writes as *actor*."""
    return Client(log, SystemClock(), actor=actor)


@asynccontextmanager
async def embedded_server(directory: Path, *, profile: Profile | None = None) -> AsyncIterator[EmbeddedServer]:
    """Use the embedded server of *directory*; it is started with *profile*, or that of the settings if None.

    Raises:
        UnavailableError: if it cannot be started, or others use it with another profile than *profile*.
    """
    async with EmbeddedServer(directory, profile=profile or read_settings().profile) as server:
        running = server.running
        if profile not in (None, running.profile):
            raise UnavailableError(
                f"expected the profile {profile}, the server in {running.directory} is used with {running.profile}: "
                "end its other users first"
            )
        yield server


def summarizer_of(
    choice: str | Summarizer | SummaryFunction, *, url: str | None = None, key: str | None = None
) -> Summarizer:
    """Return the summarizer that *choice* is, or names.

    ``extractive``; ``openai:MODEL``, at *url* any server that speaks as OpenAI does (Ollama, vLLM);
    ``anthropic:MODEL``. ``openai-responses:`` and ``openai-chat:`` fix the way of speaking: else Responses is OpenAI's,
    Chat Completions that of a *url*. Without a *key* those of the environment are used (``OPENAI_API_KEY``,
    ``ANTHROPIC_API_KEY``). A function is given the context and the decision, and returns a text, lines by section, or
    fields; it may be asynchronous.

    Raises:
        InputError: if the name is none of these, or the provider's client or key is missing.
    """
    if url is not None and not _is_model(choice):
        raise InputError("expected an address only beside a model, openai:MODEL or anthropic:MODEL, got it without one")
    if not isinstance(choice, str):
        return _own_summarizer(choice)
    _check_address(url)
    if choice == ExtractiveSummarizer.name:
        return ExtractiveSummarizer()
    kind, _, model = choice.partition(":")
    if not model or kind not in ("openai", "openai-responses", "openai-chat", "anthropic"):
        raise InputError(f"expected a summarizer: extractive, openai:MODEL or anthropic:MODEL, got {choice!r}")
    if kind == "anthropic":
        with _needs("anthropic"):
            from retold.summarizers import anthropic_models  # noqa: PLC0415 - an extra
        client = anthropic_models.open_client(url, key=key)
        return ModelSummarizer(anthropic_models.MessagesModel(model, client, name=choice))
    with _needs("openai"):
        from retold.summarizers import openai_models  # noqa: PLC0415 - an extra
    speaks_chat = kind == "openai-chat" or (kind == "openai" and url is not None)
    way = openai_models.ChatModel if speaks_chat else openai_models.ResponsesModel
    return ModelSummarizer(way(model, openai_models.open_client(url, key=key), name=choice))


def _is_model(choice: object) -> bool:
    return isinstance(choice, str) and choice != ExtractiveSummarizer.name


def _own_summarizer(choice: object) -> Summarizer:
    if isinstance(choice, Summarizer):
        return choice
    if callable(choice):
        return FunctionSummarizer(choice)
    raise InputError(f"expected a summarizer: a name, a function or a Summarizer, got {type(choice).__name__}")


def remote_of(choice: str | RemoteCompactor, *, url: str | None = None, key: str | None = None) -> RemoteCompactor:
    """Return what *choice* is, or names: the provider that compacts the sessions whose policy is ``codex-remote``.

    ``openai`` (the endpoint ``/responses/compact``), ``openai-trigger`` (a `compaction_trigger` item), ``anthropic``
    (a compaction on request) or ``anthropic-edit`` (the edit ``compact_20260112``), each with ``:MODEL`` or for the
    model that a session's usage reports name.

    Raises:
        InputError: as `summarizer_of`.
    """
    if isinstance(choice, RemoteCompactor):
        return choice
    if not isinstance(choice, str):
        raise InputError(f"expected a provider: a name or a RemoteCompactor, got {type(choice).__name__}")
    _check_address(url)
    kind, _, model = choice.partition(":")
    if kind in ("openai", "openai-trigger"):
        with _needs("openai"):
            from retold.summarizers import openai_compaction, openai_models  # noqa: PLC0415 - an extra
        client = openai_models.open_client(url, key=key)
        return openai_compaction.OpenAICompactor(model, client, way="endpoint" if kind == "openai" else "trigger")
    if kind in ("anthropic", "anthropic-edit"):
        with _needs("anthropic"):
            from retold.summarizers import anthropic_compaction, anthropic_models  # noqa: PLC0415 - an extra
        asked = anthropic_models.open_client(url, key=key)
        return anthropic_compaction.AnthropicCompactor(model, asked, way="request" if kind == "anthropic" else "edit")
    raise InputError(f"expected a provider: openai, openai-trigger, anthropic or anthropic-edit, got {choice!r}")


def _check_address(url: str | None) -> None:
    """Raise an `InputError` if *url* is no address of a server; it is not told, for it may hold a password."""
    try:
        parts = None if url is None else urlsplit(url)
        is_address = parts is None or bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        is_address = False
    if not is_address or " " in (url or ""):
        raise InputError("expected a model's address as http://HOST[:PORT]/PATH or https://…, got something else")


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    """Say which extra is missing, if the provider's client is."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != extra:
            raise
        raise InputError(f"expected the package {extra}, it is not installed: pip install 'retold[{extra}]'") from None


def models_of(
    summarizer: str | Summarizer | SummaryFunction | None = None,
    *,
    url: str | None = None,
    remote: str | RemoteCompactor | None = None,
) -> tuple[Summarizer, RemoteCompactor | None]:
    """Return what writes summaries, at *url*, and who compacts; what is None is as the settings say.

    Raises:
        InputError: as `summarizer_of` and `remote_of`.
    """
    settings = read_settings()
    writer, provider = summarizer or settings.summarizer, remote or settings.remote
    address = settings.summarizer_url if url is None and _is_model(writer) else url
    return (
        summarizer_of(writer, url=address, key=settings.summarizer_key),
        None if provider is None else remote_of(provider, url=settings.remote_url, key=settings.remote_key),
    )


@asynccontextmanager
async def closing_models(*models: object) -> AsyncIterator[None]:
    """Close the clients of those of *models* that hold one, when the block ends."""
    async with AsyncExitStack() as stack:
        for model in models:
            if isinstance(model, Closable):
                stack.push_async_callback(model.aclose)
        yield


def worker_for(
    log: Log,
    *,
    summarizer: str | Summarizer | SummaryFunction | None = None,
    remote: str | RemoteCompactor | None = None,
    hooks: Hooks | None = None,
    monitor: "Monitor | None" = None,
) -> Worker:
    """Return a worker on *log*; raises and takes its models as `models_of`. *hooks* take part in compactions.

    What it does is told *monitor*.
    """
    if hooks is not None and not isinstance(hooks, Hooks):
        raise InputError(f"expected hooks as an object of a class of retold.Hooks, got {_kind(hooks)}")
    writer, provider = models_of(summarizer, remote=remote)
    if monitor is None:
        return Worker(log, SystemClock(), writer, remote=provider, hooks=hooks, limits=_limits())
    from retold.monitoring import models  # noqa: PLC0415 - as below

    meter = monitor.meter
    asked = writer if writer.name == ExtractiveSummarizer.name else models.MeteredSummarizer(writer, meter)
    metered = None if provider is None else models.MeteredCompactor(provider, meter)
    return Worker(log, SystemClock(), asked, remote=metered, hooks=hooks, limits=_limits(), telemetry=meter)


def _limits() -> Limits:
    """Return what a worker may take, as the settings say."""
    settings = read_settings()
    return Limits(
        live_bytes=settings.live_mb * 1024 * 1024,
        summary_timeout_s=settings.summary_timeout_s,
        models_at_once=settings.models_at_once,
        tenant_models_at_once=settings.tenant_models_at_once,
        tenant_calls_a_minute=settings.tenant_calls_a_minute,
        tenant_tokens_a_minute=settings.tenant_tokens_a_minute,
    )


@asynccontextmanager
async def monitored(log: Log) -> AsyncIterator["Monitor | None"]:
    """Give what watches a worker on *log*, as the settings say; None where it is on no server.

    Raises:
        UnavailableError: if health and metrics cannot be served where the settings say.
    """
    if not isinstance(log, JetStreamLog):
        yield None
        return
    from retold.monitoring.monitor import open_monitor  # noqa: PLC0415 - loads a web server

    async with open_monitor(log.broker, SystemClock(), read_settings()) as monitor:
        yield monitor


def leases_for(log: Log) -> LeasedPartitions:
    """Return the share of *log* that a worker takes beside others (`Worker.run`), held as long as the settings say."""
    return LeasedPartitions(log.leases, ttl_s=read_settings().lease_ttl_s)


def _kind(value: object) -> str:
    return f"the class {value.__name__} itself" if isinstance(value, type) else type(value).__name__


@asynccontextmanager
async def run_worker(
    client: Client,
    *,
    summarizer: str | Summarizer | SummaryFunction | None = None,
    remote: str | RemoteCompactor | None = None,
    hooks: Hooks | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker beside *client* in this process, until the block ends; `Worker.drain` waits until it is up to date.

    *summarizer*, *remote* and *hooks* as in `worker_for`; the clients of models that were named are closed in the end.
    A worker that stops because the server stayed away ends the block with its error.
    """
    writer, provider = models_of(summarizer, remote=remote)
    running = worker_for(client.log, summarizer=writer, remote=provider, hooks=hooks)
    named = [
        made for made, given in ((writer, summarizer), (provider, remote)) if given is None or isinstance(given, str)
    ]
    async with closing_models(*named), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(running.run(leases_for(client.log)))
        yield running
        task.cancel()
