"""``retold replay`` and ``retold rebuild``: a session played again, and what is made of its events made anew."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

import typer

from retold.cli.options import Json, Options, console, place_of, print_json, run
from retold.errors import InputError
from retold.events import SessionKey, session_key
from retold.replay import Frame, Part, Rebuilt, in_order, play
from retold.replay import rebuild as rebuild_one


def replay(  # noqa: PLR0913, PLR0917 - one argument for each option
    context: typer.Context,
    session: str,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin after this place; else with the first event.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="End with a sequence, a time, an item (i12) or a tag.")] = None,
    speed: Annotated[str, typer.Option(help="10x is ten times as fast as recorded; max waits for nothing.")] = "max",
    until_compaction: Annotated[
        bool, typer.Option("--until-compaction", help="End with the first compaction.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is appended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Play a session again: what happened, and how full the window was."""
    key = session_key(session, tenant=context.obj.tenant)
    part = Part(start=place_of(start), to=place_of(to), until_compaction=until_compaction, follow=follow)
    pace = _speed(speed)

    async def played() -> None:
        async with context.obj.client() as client, aclosing(play(client.log, key, part, speed=pace)) as frames:
            async for frame in frames:
                print_json(_row(frame)) if as_json else _print_frame(frame)

    run(played())


def rebuild(
    context: typer.Context,
    session: Annotated[list[str] | None, typer.Argument(help="Sessions; without any, all.")] = None,
    jobs: Annotated[int, typer.Option(help="How many processes work on it; 0 is one a processor.")] = 0,
    as_json: Json = False,
) -> None:
    """Make snapshots and published histories anew from the events alone, and swap them in, each session at once."""
    if jobs < 0:
        raise InputError(f"expected --jobs to be 0 or more, got {jobs}")
    keys = [session_key(name, tenant=context.obj.tenant) for name in session or ()]
    rebuilt = run(_rebuilt(context.obj, keys, jobs or os.cpu_count() or 1))
    if as_json:
        print_json([_rebuilt_row(one) for one in rebuilt])
        return
    for one in rebuilt:
        differed = f", {one.differed} before differed" if one.differed else ""
        told = f"{one.events} events, {one.snapshots} snapshots{differed}, published history: {one.published}"
        console().print(f"{one.key.tenant}/{one.key.session}: {told}")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise InputError(f"expected --speed to be max or a number above 0 such as 10x, got {text!r}")
    return speed


# ---- rebuilding -----------------------------------------------------------------------------------------------------


async def _rebuilt(options: Options, keys: list[SessionKey], jobs: int) -> list[Rebuilt]:
    from retold.wiring import connect, embedded_server  # noqa: PLC0415 - the NATS client takes a while to load

    async with AsyncExitStack() as stack:
        url = options.server_url
        if url is None:
            url = (await stack.enter_async_context(embedded_server(options.directory))).url
        client = await stack.enter_async_context(connect(url))
        for key in keys:
            await client.existing(key.session, tenant=key.tenant)
        asked = keys or [end.key for end in await client.sessions() if options.shows(end.key)]
        if min(jobs, len(asked)) <= 1:
            return await _rebuild_here(url, asked)
        return await _rebuild_in_processes(url, asked, min(jobs, len(asked)))


async def _rebuild_in_processes(url: str, keys: list[SessionKey], jobs: int) -> list[Rebuilt]:
    """Share *keys* out to processes, for folding takes a processor; results are in the order of *keys*."""
    loop, spawn = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        parts = [loop.run_in_executor(pool, _rebuild_part, url, keys[first::jobs]) for first in range(jobs)]
        done = {one.key: one for part in await asyncio.gather(*parts) for one in part}
    return [done[key] for key in keys]


def _rebuild_part(url: str, keys: list[SessionKey]) -> list[Rebuilt]:
    return asyncio.run(_rebuild_here(url, keys))


async def _rebuild_here(url: str, keys: list[SessionKey]) -> list[Rebuilt]:
    from retold.wiring import connect  # noqa: PLC0415 - as above

    async with connect(url) as client, aclosing(in_order(keys, lambda key: rebuild_one(client.log, key))) as rebuilt:
        return [one async for one in rebuilt]


# ---- rows -----------------------------------------------------------------------------------------------------------


def _row(frame: Frame) -> dict[str, Any]:
    event, state, compaction = frame.recorded.event, frame.state, frame.compaction
    row = {
        "seq": event.seq,
        "at": event.at,
        "type": event.type,
        "actor": event.actor,
        "tokens": frame.tokens,
        "charged_tokens": frame.charged_tokens,
        "pre_rot": state.window.pre_rot_tokens,
        "version": state.version,
    }
    return row if compaction is None else row | {"tier": compaction.tier, "receipt": compaction.receipt}


def _print_frame(frame: Frame) -> None:
    event, pre_rot = frame.recorded.event, frame.state.window.pre_rot_tokens
    share = 100 * frame.charged_tokens // pre_rot
    line = f"{event.seq:>7} {event.at:%Y-%m-%d %H:%M:%S} {event.type:<20} {frame.tokens:>9,} tokens {share:>4}%"
    if frame.compaction is not None:
        receipt = frame.compaction.receipt
        line += f"  version {frame.compaction.version} by {frame.compaction.tier}: {receipt.tokens_before:,} to "
        line += f"{receipt.tokens_after:,}"
    console().print(line)


def _rebuilt_row(one: Rebuilt) -> dict[str, Any]:
    return {
        "tenant": one.key.tenant,
        "session": one.key.session,
        "events": one.events,
        "snapshots": one.snapshots,
        "differed": one.differed,
        "published": one.published,
    }
