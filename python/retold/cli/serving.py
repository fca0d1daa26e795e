"""``retold up``, ``worker`` and ``demo``: what runs until it is stopped, or for a minute."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retold.cli.options import Json, Options, run, window_of
from retold.cli.stopping import Stop, run_until_stopped
from retold.errors import InputError
from retold.settings import LogFormat, LogLevel, Profile, give, read_settings

if TYPE_CHECKING:
    from retold.model_ports import RemoteCompactor, Summarizer
    from retold.monitoring.monitor import Monitor

    _Models = tuple[Summarizer, RemoteCompactor | None]

_log = logging.getLogger(__name__)

FIRST_KEY = "k1"
"""The id of the master key that `retold up --encrypt` makes; `retold keys new` takes any."""


_Summarizer = Annotated[
    str | None, typer.Option(help="What writes summaries: extractive, openai:MODEL or anthropic:MODEL.")
]
_SummarizerUrl = Annotated[str | None, typer.Option(help="Where that model is served (Ollama, vLLM).")]
_Remote = Annotated[str | None, typer.Option(help="Who compacts codex-remote sessions: openai or anthropic, :MODEL.")]


_HttpHost = Annotated[str | None, typer.Option(help="Where health and metrics are served.")]
_HttpPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="On which port (9464 is usual; 0: any); without it, nowhere.")
]
_Name = Annotated[str | None, typer.Option(help="What the worker is called; without it, host and process number.")]
_LogFormat = Annotated[LogFormat | None, typer.Option(help="The log on stderr: text, or a JSON object a line.")]
_LogLevel = Annotated[LogLevel | None, typer.Option(help="What the log leaves out.")]


def up(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    profile: Annotated[Profile | None, typer.Option(help="When what is acknowledged is durable.")] = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Seal what sessions say, from now on.")] = False,
    summarizer: _Summarizer = None,
    summarizer_url: _SummarizerUrl = None,
    remote: _Remote = None,
    http_host: _HttpHost = None,
    http_port: _HttpPort = None,
    worker_name: _Name = None,
    log_format: _LogFormat = None,
    log_level: _LogLevel = None,
) -> None:
    """Run the embedded server with a worker, until stopped; other commands find it by the data directory.

    A server that runs there already is used: that of another command, or one that was left by a process that was
    killed. It ends with the last command that uses it. With --encrypt, the master keys are in the file that
    RETOLD_KEY_FILE names; without that, in one that is made once and named: every other command needs it, too.
    """
    options: Options = context.obj
    if options.server_url is not None:
        given = "RETOLD_URL" if options.url is None else "--url"
        raise InputError(f"expected no {given}: `retold up` runs the embedded server; for another use `retold worker`")
    give(summarizer=summarizer, summarizer_url=summarizer_url, remote=remote, worker_name=worker_name)
    give(http_host=http_host, http_port=http_port, log_format=log_format, log_level=log_level)
    _log_to_stderr()
    models = _models(summarizer_url)
    run(_up(options, profile, models, keys=_key_file() if encrypt else None))


def worker(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Bring every session up to date, then end.")] = False,
    summarizer: _Summarizer = None,
    summarizer_url: _SummarizerUrl = None,
    remote: _Remote = None,
    http_host: _HttpHost = None,
    http_port: _HttpPort = None,
    worker_name: _Name = None,
    log_format: _LogFormat = None,
    log_level: _LogLevel = None,
) -> None:
    """Compact sessions as they grow, until stopped."""
    give(summarizer=summarizer, summarizer_url=summarizer_url, remote=remote, worker_name=worker_name)
    give(http_host=http_host, http_port=http_port, log_format=log_format, log_level=log_level)
    _log_to_stderr()
    run(_worker(context.obj, _models(summarizer_url), once=once))


def demo(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A transcript; without it, a bundled session.")] = None,
    hard_limit: Annotated[int, typer.Option(help="What the model accepts, in tokens.")] = 40_000,
    pre_rot: Annotated[int, typer.Option(help="Where quality starts to suffer, in tokens; 0: chosen.")] = 24_000,
    turns: Annotated[int, typer.Option(min=1, help="How long the bundled session is.")] = 120,
    as_json: Json = False,
) -> None:
    """Import a long session, compact it live on an embedded server of its own, and prove three past states."""
    from retold.cli.demo import play  # noqa: PLC0415 - the plot is for the demo alone

    window = window_of(hard_limit=hard_limit, pre_rot=pre_rot)
    if not run(play(file, window=window, turns=turns, as_json=as_json, tenant=context.obj.tenant)):
        raise typer.Exit(1)


def _models(url: str | None) -> "_Models":
    from retold.wiring import models_of  # noqa: PLC0415 - loads the client

    return models_of(url=url)  # named by a flag, it is one too many where no model is asked


async def _up(
    options: Options,
    profile: Profile | None,
    models: "_Models",
    *,
    keys: Path | None,
) -> None:
    from retold.wiring import (  # noqa: PLC0415 - loads the client
        closing_models,
        connect,
        embedded_server,
        leases_for,
        monitored,
        worker_for,
    )

    async with (
        closing_models(*models),
        embedded_server(options.directory, profile=profile) as server,
        connect(server.url, actor="worker", keys=keys) as client,
        monitored(client.log) as monitor,
    ):
        running = server.running
        stop = Stop(exits_at=3)
        typer.echo(f"Retold is up: {running.address}, profile {running.profile}, store {running.directory}")
        if keys is not None:
            typer.echo(f"Sealed. Other commands need RETOLD_KEY_FILE={keys}; keep a copy of it away from the store.")
        _tell_port(monitor)
        working = worker_for(client.log, summarizer=models[0], remote=models[1], monitor=monitor)
        await run_until_stopped(working, leases_for(client.log), stop, monitor=monitor)


def _key_file() -> Path:
    """Return the file of master keys that the settings name, or the user's own, made where it is missing."""
    import platformdirs  # noqa: PLC0415 - for --encrypt alone

    from retold.key_files import add_master_key  # noqa: PLC0415 - loads the ciphers

    path = read_settings().key_file or platformdirs.user_config_path("retold") / "master.keys"
    if not path.exists():
        add_master_key(path, FIRST_KEY)
    return path


async def _worker(options: Options, models: "_Models", *, once: bool) -> None:
    from retold.wiring import closing_models, leases_for, monitored, worker_for  # noqa: PLC0415 - loads the client

    async with closing_models(*models), options.client(actor="worker") as client:
        if not once:
            stop = Stop()
            async with monitored(client.log) as monitor:
                _tell_port(monitor)
                running = worker_for(client.log, summarizer=models[0], remote=models[1], monitor=monitor)
                await run_until_stopped(running, leases_for(client.log), stop, monitor=monitor)
            return
        draining = worker_for(client.log, summarizer=models[0], remote=models[1])
        await draining.drain()
    for error in draining.damaged.values():
        sys.stderr.write(f"retold: set aside: {error}\n")
    if draining.damaged:
        raise typer.Exit(1)


def _tell_port(monitor: "Monitor | None") -> None:
    if monitor is not None and monitor.port is not None:
        _log.info("worker %s serves health and metrics on port %d", monitor.name, monitor.port)


def _log_to_stderr() -> None:
    from retold.monitoring.logs import log_to_stderr  # noqa: PLC0415 - loads structlog

    settings = read_settings()
    log_to_stderr(settings.log_format, settings.log_level)
