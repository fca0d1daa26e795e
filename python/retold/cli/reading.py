"""``retold sessions``, ``show``, ``history``, ``verify``: reading what is so, and proving it."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Literal

import typer
from msgspec import UNSET
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from retold.cli.options import CHECK_FAILED, WRONG_USAGE, Json, Options, console, place_of, print_json, print_table, run
from retold.errors import InputError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    HistoryEdited,
    HistoryReplaced,
    Message,
    Recorded,
    SessionErased,
    SessionKey,
    SummaryWritten,
    session_key,
)
from retold.fold import Context, Entry, History
from retold.ports import Aside, Log, SessionEnd
from retold.replay import At, Verdict, history_at, in_order, item_text, load
from retold.replay import verify as prove
from retold.replay import verify_chain as prove_chain

Format = Literal["items", "chat", "responses", "anthropic"]

FIRST_CHARACTERS = 80
"""How much of an item's text a line shows."""


def sessions(context: typer.Context, as_json: Json = False) -> None:
    """List every session and where it ends; exits with 1 if the end of one is damaged, or one is set aside."""
    ends, aside = run(_sessions(context.obj))
    if as_json:
        print_json([_end_row(end, aside.get(end.key)) for end in ends])
    else:
        table = Table("tenant", "session", "events", box=None)
        for end in ends:
            shown = f"{end.seq} DAMAGED" if end.damaged else str(end.seq)
            note = f", set aside: damaged at {aside[end.key].seq}" if end.key in aside else ""
            table.add_row(end.key.tenant, end.key.session, shown + note)
        print_table(table)
    wrong = [end for end in ends if end.damaged or end.key in aside]
    for end in wrong:
        command = f"retold --tenant {end.key.tenant} verify {end.key.session}"
        what = f"is damaged at {aside[end.key].seq}" if end.key in aside else "has a damaged end"
        sys.stderr.write(
            f"retold: {end.key.session!r} {what}; `{command}` tells what is wrong, `retold repair` mends\n"
        )
    if wrong:
        raise typer.Exit(1)


def show(context: typer.Context, session: str, as_json: Json = False) -> None:
    """Show a session: its window, its size, and every compaction with its receipt."""
    key = session_key(session, tenant=context.obj.tenant)
    state, events = run(_show(context.obj, key))
    if as_json:
        print_json(_shown(state, events))
    else:
        _print_session(state, events)


def history(
    context: typer.Context,
    session: str,
    at: Annotated[
        str | None,
        typer.Option(help="A sequence, a time such as 2026-01-31T12:00 (UTC), an item such as i12, or a tag."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Print messages of a provider's form.")] = "items",
    model: Annotated[str | None, typer.Option(help="For this model: another's compaction is told in words.")] = None,
    as_json: Json = False,
) -> None:
    """Print the history that the model is sent: now, or as it was."""
    key = session_key(session, tenant=context.obj.tenant)
    found = run(_history(context.obj, key, place_of(at)))
    if form != "items":
        print_json(found.as_form(form, model=model))
    elif as_json:
        print_json(_history_row(found))
    else:
        _print_history(found)


def verify(
    context: typer.Context,
    session: Annotated[str | None, typer.Argument(help="One session; without it, all.")] = None,
    chain: Annotated[bool, typer.Option("--chain", help="The chain of stored events alone: needs no key.")] = False,
    as_json: Json = False,
) -> None:
    """Derive every hash again from the events; exits with 1 and names the first damaged sequence.

    Of a sealed session whose key is missing the chain is proven; then it exits with 2, unless that was asked for.
    """
    verdicts = run(_verify(context.obj, session, prove_chain if chain else prove))
    if as_json:
        print_json([_verdict_row(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print_verdict(verdict)
    missing = {verdict.missing for verdict in verdicts} - {""}
    if missing:
        more = f" ({len(missing) - 1} other sessions, too)" if len(missing) > 1 else ""
        sys.stderr.write(f"retold: {min(missing)}{more}\n")
    if missing or not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(WRONG_USAGE if all(verdict.ok for verdict in verdicts) else CHECK_FAILED)


# ---- reading --------------------------------------------------------------------------------------------------------


async def _sessions(options: Options) -> tuple[list[SessionEnd], dict[SessionKey, Aside]]:
    async with options.client() as client:
        return [end for end in await client.sessions() if options.shows(end.key)], await client.log.aside()


async def _show(options: Options, key: SessionKey) -> tuple[Context, list[Recorded]]:
    async with options.client() as client:
        state = await load(client.log, key)
        return state, [recorded async for recorded in client.log.read(key, until=state.seq)]


async def _history(options: Options, key: SessionKey, at: At | None) -> History:
    async with options.client() as client:
        return await history_at(client.log, key, at)


Prove = Callable[[Log, SessionKey], Awaitable[Verdict]]


async def _verify(options: Options, session: str | None, prove: Prove) -> list[Verdict]:
    key = None if session is None else session_key(session, tenant=options.tenant)
    async with options.client() as client:
        if key is not None:
            # Not looked up first: what the log says of its end may be what is damaged.
            verdict = await _proven(prove, client.log, key)
            if verdict.ok and not verdict.events:
                raise InputError(f"expected an existing session, there is none named {session!r}")
            return [verdict]
        keys = [end.key for end in await client.sessions() if options.shows(end.key)]
        progress = Progress(transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True))
        with progress:
            task = progress.add_task("verifying", total=len(keys))
            verdicts = []
            async with aclosing(in_order(keys, partial(_proven, prove, client.log))) as found:
                async for verdict in found:
                    verdicts.append(verdict)
                    progress.advance(task)
        return verdicts


async def _proven(prove: Prove, log: Log, key: SessionKey) -> Verdict:
    """Prove a session, and note or take back that it is damaged; its chain alone takes nothing back."""
    verdict = await prove(log, key)
    if verdict.damaged_seq is not None and not verdict.whole:
        await log.set_aside(key, Aside(seq=verdict.damaged_seq, reason=verdict.reason))
    elif verdict.proof == "all" and key in await log.aside():
        await log.release(key)
    return verdict


# ---- rows for JSON --------------------------------------------------------------------------------------------------


def _end_row(end: SessionEnd, aside: Aside | None) -> dict[str, Any]:
    return {
        "tenant": end.key.tenant,
        "session": end.key.session,
        "seq": end.seq,
        "damaged": end.damaged or aside is not None,
        "damaged_seq": None if aside is None else aside.seq,
        "reason": "" if aside is None else aside.reason,
    }


def _tokens_row(found: Context | History) -> dict[str, int]:
    counted = found.tokens if isinstance(found, Context) else found.counted
    return {
        "exact": counted.exact,
        "reconstructed": counted.reconstructed,
        "estimated": counted.estimated,
        "upper": counted.upper,
    }


def _history_row(found: History) -> dict[str, Any]:
    return {
        "tenant": found.key.tenant,
        "session": found.key.session,
        "seq": found.seq,
        "version": found.version,
        "base_seq": found.base_seq,
        "hash": found.hash,
        "tokens": _tokens_row(found),
        "items": [
            {"item": entry.item, "form": entry.form, "seq": entry.seq, "tokens": entry.tokens.upper}
            for entry in found.entries
        ],
    }


def _shown(state: Context, events: list[Recorded]) -> dict[str, Any]:
    written = _written(events)
    return {
        "tenant": state.key.tenant,
        "session": state.key.session,
        "seq": state.seq,
        "window": {
            "hard_limit": state.window.hard_limit,
            "pre_rot": state.window.pre_rot_tokens,
            "reserve": state.window.reserve_tokens,
        },
        "policy": state.policy,
        "encoding": state.encoding,
        "version": state.version,
        "entries": len(state.entries),
        "tokens": _tokens_row(state),
        "charged_tokens": state.calibration.charged(state.tokens.upper),
        "closed": state.closed,
        "erased": _erasure(events[0]),
        "parent": state.parent,
        "tags": state.tags,
        "compactions": [_compaction(recorded, written) for recorded in events if _is_compaction(recorded)],
    }


def _erasure(first: Recorded) -> dict[str, Any] | None:
    """Return who erased the session that begins with *first*, when and why; None if it never was."""
    fact = first.event.data
    if not isinstance(fact, SessionErased):
        return None
    return {"seq": first.event.seq, "at": first.event.at, "by": fact.by, "reason": fact.reason}


def _is_compaction(recorded: Recorded) -> bool:
    fact = recorded.event.data
    if isinstance(fact, HistoryEdited):
        return fact.receipt is not UNSET
    return isinstance(fact, HistoryReplaced | CompactionFailed | CompactionAbandoned)


def _written(events: list[Recorded]) -> dict[str, SummaryWritten]:
    """Return the summaries by the plan that they were written for."""
    return {fact.plan: fact for one in events if isinstance(fact := one.event.data, SummaryWritten)}


def _compaction(recorded: Recorded, written: dict[str, SummaryWritten]) -> dict[str, Any]:
    fact = recorded.event.data
    row: dict[str, Any] = {"seq": recorded.event.seq, "at": recorded.event.at, "type": recorded.event.type}
    if isinstance(fact, HistoryReplaced):
        row |= {"base_seq": fact.base_seq, "version": fact.version, "tier": fact.tier, "hash": fact.hash}
        row["receipt"] = fact.receipt
        if (summary := written.get(fact.plan)) is not None:
            row |= {"summarizer": summary.summarizer, "instead_of": summary.instead_of}
            row |= {"input_tokens": summary.input_tokens, "output_tokens": summary.output_tokens}
    elif isinstance(fact, HistoryEdited):
        row |= {"tier": "edit", "receipt": fact.receipt}
    elif isinstance(fact, CompactionFailed | CompactionAbandoned):
        row |= {"base_seq": fact.base_seq, "reason": fact.reason}
    return row


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    return {
        "tenant": verdict.key.tenant,
        "session": verdict.key.session,
        "ok": verdict.ok,
        "events": verdict.events,
        "replacements": verdict.replacements,
        "snapshots": verdict.snapshots,
        "published": verdict.published,
        "damaged_seq": verdict.damaged_seq,
        "reason": verdict.reason,
        "proof": verdict.proof,
        "missing": verdict.missing,
    }


# ---- views for people -----------------------------------------------------------------------------------------------


def _print_session(state: Context, events: list[Recorded]) -> None:
    window = state.window
    out = console()
    out.print(f"session   {state.key.session} of tenant {state.key.tenant}, {state.seq} events")
    out.print(
        f"window    {window.hard_limit:,} tokens, pre-rot {window.pre_rot_tokens:,}, reserve {window.reserve_tokens:,}"
    )
    _print_origin(state, events[0])
    size = state.tokens
    out.print(
        f"history   {len(state.entries)} entries, {size.upper:,} tokens "
        f"({size.exact:,} exact, {size.reconstructed:,} reconstructed, {size.estimated:,} estimated; {state.encoding})"
    )
    learnt = state.calibration
    if (charged := learnt.charged(size.upper)) > size.upper:
        by = f"{learnt.ratio / 1_000:.2f} for each of ours and {learnt.offset:,} beside"
        out.print(f"provider  takes it for {charged:,} tokens, by its reports: {by}")
    table = Table("seq", "version", "step", "before", "after", "offloaded", "summarised", "cut", "dropped", box=None)
    written = _written(events)
    for recorded in events:
        fact = recorded.event.data
        receipt = fact.receipt if isinstance(fact, HistoryReplaced | HistoryEdited) else UNSET
        if isinstance(fact, HistoryReplaced | HistoryEdited) and receipt is not UNSET:
            done = _done(fact, written)
            counts = (receipt.offloaded, receipt.summarised, receipt.cut, receipt.dropped)
            sizes = (f"{receipt.tokens_before:,}", f"{receipt.tokens_after:,}")
            table.add_row(str(recorded.event.seq), *done, *sizes, *(str(len(ids)) for ids in counts))
        elif isinstance(fact, CompactionFailed | CompactionAbandoned):
            table.add_row(str(recorded.event.seq), "-", f"{recorded.event.type}: {fact.reason}")
    if table.row_count:
        print_table(table)


def _done(fact: HistoryReplaced | HistoryEdited, written: dict[str, SummaryWritten]) -> tuple[str, str]:
    """Return the version that a compaction made, where it says so, and its step."""
    if isinstance(fact, HistoryEdited):
        return "-", "edit"
    summary = written.get(fact.plan)
    return str(fact.version), fact.tier if summary is None else _step(summary)


def _step(summary: SummaryWritten) -> str:
    """Return who wrote a summary, and why not the one that was asked first."""
    instead = f", instead of {summary.instead_of}" if summary.instead_of else ""
    return f"summary by {summary.summarizer}{instead}"


def _print_origin(state: Context, first: Recorded) -> None:
    out = console()
    if (erased := _erasure(first)) is not None:
        why = f": {erased['reason']}" if erased["reason"] else ""
        out.print(f"erased    at {erased['seq']}, {erased['at']:%Y-%m-%d %H:%M:%S} UTC, by {erased['by']}{why}")
    if state.parent is not None:
        out.print(f"parent    {state.parent.session} at {state.parent.seq}")
    for name, seq in sorted(state.tags.items(), key=lambda tag: tag[1]):
        out.print(f"tag       {name} at {seq}")


def _print_history(found: History) -> None:
    out = console()
    for entry in found.entries:
        text = " ".join(item_text(entry.item).split())
        shown = text if len(text) <= FIRST_CHARACTERS else text[: FIRST_CHARACTERS - 1] + "…"
        out.print(f"{entry.item.id:>6} {_kind(entry):<12} {entry.tokens.upper:>7,} {entry.form:<11} {shown}")
    out.print(f"{len(found.entries)} entries, {found.tokens:,} tokens, version {found.version}, seq {found.seq}")
    out.print(f"hash {found.hash}")


def _kind(entry: Entry) -> str:
    item = entry.item
    return item.role if isinstance(item, Message) else type(item).__name__


def _print_verdict(verdict: Verdict) -> None:
    mark, what = "ok     ", f"{verdict.events} events"
    if not verdict.ok:
        mark, what = "DAMAGED", f"first damaged sequence {verdict.damaged_seq}: {verdict.reason}"
    elif verdict.proof == "all":
        what += f", {verdict.replacements} replacement histories, {verdict.snapshots} snapshots"
    else:
        mark = "chain  "
        what += ", none missing or changed; not proven: texts, replacement histories, snapshots, what is published"
    style = "red" if not verdict.ok else "green" if verdict.proof == "all" else "yellow"
    name = f"{verdict.key.tenant}/{verdict.key.session}"
    out = console()
    out.print(mark, style=style, end=" ")
    out.print(f"{name}: {what}")
