"""``retold gateway``: what agents call in place of their provider."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retold.cli.options import Options, run
from retold.errors import InputError
from retold.settings import UpstreamForm, give, read_settings

if TYPE_CHECKING:
    from retold.client import Client
    from retold.security import MasterKeys

FIRST_KEY = "k1"
"""The id of the master key that is made where there is none; `retold keys new` takes any."""

Upstream = Annotated[
    str | None, typer.Option(help="The server behind the gateway, as its clients write it; with or without /v1.")
]
Form = Annotated[UpstreamForm | None, typer.Option(help="What that server speaks.")]


def gateway(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    upstream: Upstream = None,
    upstream_form: Form = None,
    host: Annotated[str | None, typer.Option(help="Where it is served.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="On which port; 0: any.")] = None,
    summarizer: Annotated[
        str | None, typer.Option(help="What writes summaries: extractive, openai:MODEL or anthropic:MODEL.")
    ] = None,
    summarizer_url: Annotated[str | None, typer.Option(help="Where that model is served (Ollama, vLLM).")] = None,
    record: Annotated[bool, typer.Option("--record", help="Record every turn; make over-long requests fit.")] = False,
) -> None:
    """Serve what an agent calls in place of its provider, until stopped: it compacts by itself, whatever the model.

    Keys pass through and are not kept. Summaries are sealed with the keys of RETOLD_KEY_FILE; without that, with those
    of a file that is made once and named.
    """
    give(upstream=upstream, upstream_form=upstream_form, gateway_host=host, gateway_port=port)
    give(summarizer=summarizer, summarizer_url=summarizer_url)
    _check_upstream()
    from retold.gateway.serving import new_event_loop  # noqa: PLC0415 - loads a web server

    run(_serve(context.obj, sealing_keys(), record=record), new_loop=new_event_loop)


def _check_upstream() -> None:
    from retold.gateway import place_of  # noqa: PLC0415 - loads a web server

    settings = read_settings()
    if settings.upstream is None:
        raise InputError("expected the server behind the gateway: name it by --upstream or RETOLD_UPSTREAM")
    place_of(settings.upstream, settings.upstream_form)


def own_key_file() -> Path:
    """Return the file of master keys that the settings name, or the user's own, made where it is missing."""
    import platformdirs  # noqa: PLC0415 - for this alone

    from retold.key_files import add_master_key  # noqa: PLC0415 - loads the ciphers

    path = read_settings().key_file or platformdirs.user_config_path("retold") / "master.keys"
    if not path.exists():
        add_master_key(path, FIRST_KEY)
        typer.echo(f"New master keys are in {path}: keep a copy of it.")
    return path


def sealing_keys() -> "MasterKeys":
    """Return the master keys that summaries are sealed with."""
    from retold.key_files import read_key_file  # noqa: PLC0415 - loads the ciphers

    return read_key_file(own_key_file())


async def _serve(options: Options, keys: "MasterKeys", *, record: bool) -> None:
    from retold.cli.stopping import Stop  # noqa: PLC0415 - takes the signals

    stop = Stop()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(options.client(actor="gateway")) if record else None
        await stack.enter_async_context(running_gateway(keys, tenant=options.tenant, client=client))
        await stop.asked()


@asynccontextmanager
async def running_gateway(keys: "MasterKeys", *, tenant: str, client: "Client | None") -> AsyncIterator[None]:
    """Run the gateway that the settings describe until the block ends; *client* records its turns, if there is one.

    Raises:
        InputError: if there is no upstream, or its address is none.
        UnavailableError: if it cannot be served where the settings say.
    """
    from retold.client.client import DEFAULT_WINDOW  # noqa: PLC0415 - loads the client
    from retold.gateway import place_of  # noqa: PLC0415 - loads a web server
    from retold.gateway.recording import Recorder  # noqa: PLC0415 - loads the client
    from retold.gateway.serving import run_gateway  # noqa: PLC0415 - loads a web server
    from retold.wiring import models_of  # noqa: PLC0415 - loads the client

    settings = read_settings()
    place = place_of(settings.upstream or "", settings.upstream_form)
    recorder = None if client is None else Recorder(client, tenant=tenant, window=DEFAULT_WINDOW)
    async with run_gateway(
        place,
        keys=keys,
        summarizer=models_of()[0],
        tenant=tenant,
        host=settings.gateway_host,
        port=settings.gateway_port,
        recorder=recorder,
    ) as port:
        told = "" if recorder is None else ", and records every turn"
        typer.echo(f"The gateway is up: http://{settings.gateway_host}:{port}/v1, before a {place.form} server{told}")
        yield
