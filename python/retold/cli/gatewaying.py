"""``retold gateway``: what agents call in place of their provider."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retold.cli.options import Options, run
from retold.errors import InputError
from retold.settings import UpstreamForm, give, read_settings

if TYPE_CHECKING:
    from retold.security import MasterKeys

FIRST_KEY = "k1"


def gateway(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    upstream: Annotated[
        str | None, typer.Option(help="The server behind it, as its clients write it; with or without /v1.")
    ] = None,
    upstream_form: Annotated[UpstreamForm | None, typer.Option(help="What that server speaks.")] = None,
    host: Annotated[str | None, typer.Option(help="Where it is served.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="On which port; 0: any.")] = None,
    summarizer: Annotated[
        str | None, typer.Option(help="What writes summaries: extractive, openai:MODEL or anthropic:MODEL.")
    ] = None,
    summarizer_url: Annotated[str | None, typer.Option(help="Where that model is served (Ollama, vLLM).")] = None,
) -> None:
    """Serve what an agent calls in place of its provider, until stopped: it compacts by itself, whatever the model.

    Keys pass through and are not kept. Summaries are sealed with the keys of RETOLD_KEY_FILE; without that, with those
    of a file that is made once and named.
    """
    give(upstream=upstream, upstream_form=upstream_form, gateway_host=host, gateway_port=port)
    give(summarizer=summarizer, summarizer_url=summarizer_url)
    if read_settings().upstream is None:
        raise InputError("expected the server behind the gateway: name it by --upstream or RETOLD_UPSTREAM")
    run(serve(context.obj, keys=sealing_keys()))


def sealing_keys() -> "MasterKeys":
    """Return the master keys that summaries are sealed with: of the file that the settings name, or the user's own."""
    import platformdirs  # noqa: PLC0415 - for this alone

    from retold.key_files import add_master_key, read_key_file  # noqa: PLC0415 - loads the ciphers

    path: Path = read_settings().key_file or platformdirs.user_config_path("retold") / "master.keys"
    if not path.exists():
        add_master_key(path, FIRST_KEY)
        typer.echo(f"Summaries are sealed with the keys in {path}: keep a copy of it.")
    return read_key_file(path)


async def serve(options: Options, *, keys: "MasterKeys") -> None:
    """Run the gateway that the settings describe, until the process is told to stop."""
    from retold.cli.stopping import Stop  # noqa: PLC0415 - takes the signals
    from retold.gateway import place_of  # noqa: PLC0415 - loads a web server
    from retold.gateway.serving import run_gateway  # noqa: PLC0415 - loads a web server
    from retold.wiring import models_of  # noqa: PLC0415 - loads the client

    settings = read_settings()
    assert settings.upstream is not None
    place = place_of(settings.upstream, settings.upstream_form)
    stop = Stop()
    async with run_gateway(
        place,
        keys=keys,
        summarizer=models_of()[0],
        tenant=options.tenant,
        host=settings.gateway_host,
        port=settings.gateway_port,
    ) as port:
        typer.echo(f"The gateway is up: http://{settings.gateway_host}:{port}/v1, in front of a {place.form} server")
        await stop.asked()
