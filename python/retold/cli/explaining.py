"""``retold explain``: what a compaction did, why, and how to get back what it took."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from retold.cli.options import Json, Options, console, print_json, print_table, run
from retold.errors import InputError
from retold.events import Finding, ForkPoint, GuardAction, SessionKey, session_key
from retold.fold import DUE_SHARE
from retold.replay import Compacted, Explanation, NotMade, Summarised, Version, explain_version, versions

LINE_CHARACTERS = 100
"""How much of a summary's line is shown."""

DONE: Final[dict[GuardAction, str]] = {
    "quoted": "quoted as data",
    "dropped": "left out",
    "redacted": "without a secret",
    "plain": "with marks made plain",
}
"""What the guard did."""


def explain(
    context: typer.Context,
    session: str,
    version: Annotated[int | None, typer.Argument(help="Which; without it, the newest compaction.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List all compactions, and those not made.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what a compaction kept, offloaded, summarised, cut and dropped, and why there was none before it."""
    key = session_key(session, tenant=context.obj.tenant)
    if every and version is not None:
        raise InputError(f"expected a version or --all, got {version} and --all")
    if every:
        found = run(_versions(context.obj, key))
        print_json([_listed(one) for one in found]) if as_json else _print_versions(found)
        return
    explanation = run(_explain(context.obj, key, version))
    print_json(_row(explanation)) if as_json else _print(explanation)


async def _versions(options: Options, key: SessionKey) -> list[Version | NotMade]:
    async with options.client() as client:
        return await versions(client.log, key)


async def _explain(options: Options, key: SessionKey, version: int | None) -> Explanation:
    async with options.client() as client:
        return await explain_version(client.log, key, version)


# ---- rows for JSON --------------------------------------------------------------------------------------------------


def _row(found: Explanation) -> dict[str, Any]:
    row = {name: getattr(found, name) for name in found.__struct_fields__ if name != "key"}
    return {"tenant": found.key.tenant, "session": found.key.session} | row


def _listed(one: Version | NotMade) -> dict[str, Any]:
    if isinstance(one, NotMade):
        return {"seq": one.seq, "base_seq": one.base_seq, "made": False, "how": one.how, "reason": one.reason}
    row = {"seq": one.seq, "at": one.recorded.event.at, "made": True, "version": one.version, "tier": one.tier}
    return row | {"receipt": one.receipt}


# ---- views for people -----------------------------------------------------------------------------------------------


def _print_versions(found: Iterable[Version | NotMade]) -> None:
    heads = ("version", "seq", "at", "step", "before", "after", "kept", "offloaded", "summarised", "cut", "dropped")
    table = Table(*heads, "prefix", box=None)
    for one in found:
        if isinstance(one, NotMade):
            table.add_row("-", str(one.seq), "", f"{one.how}: {one.reason}")
            continue
        receipt, event = one.receipt, one.recorded.event
        counts = (receipt.offloaded, receipt.summarised, receipt.cut, receipt.dropped)
        sizes = (f"{receipt.tokens_before:,}", f"{receipt.tokens_after:,}", str(receipt.kept))
        prefix = _percent(receipt.survival.prefix_tokens, receipt.tokens_after) if receipt.survival else "?"
        at = f"{event.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            str(one.version), str(event.seq), at, one.tier, *sizes, *(str(len(ids)) for ids in counts), prefix
        )
    print_table(table)


def _print(found: Explanation) -> None:
    out = console()
    out.print(f"version     {found.version} of {found.key.session}, by {found.tier} (policy {found.policy})")
    made = f"{found.at:%Y-%m-%d %H:%M:%S} UTC by {found.actor}, event {found.seq}"
    out.print(f"made        {made}, of the history at {found.base_seq}")
    if found.parent is not None:
        out.print(f"fork        of {found.parent.session} after its event {found.parent.seq}")
    out.print(f"because     {_because(found)}")
    saved = _percent(found.tokens_before - found.tokens_after, found.tokens_before)
    out.print(
        f"tokens      {found.tokens_before:,} to {found.tokens_after:,}, {saved} less; target {found.target_tokens:,}"
    )
    out.print(f"kept        {found.kept} entries, {found.kept_tokens:,} tokens")
    _print_changes("offloaded", found.offloaded, found)
    if found.summarised is not None:
        _print_summary(found.summarised, found.parent)
        _print_findings(found.findings, found.parent)
    _print_changes("cut", found.cut, found)
    _print_changes("dropped", found.dropped, found)
    if found.note:
        out.print(f"note        {found.note}, {found.note_tokens:,} tokens, names what was dropped")
    if found.summarised is not None or found.cut or found.dropped:
        name = found.key.session
        undo = f"`retold undo {name}`, or " if found.is_newest else ""
        out.print(f"back        {undo}read it: `retold history {name} --at {found.base_seq}`")
    out.print(f"pins        {found.pins_intact} of {found.pins} word for word, their hashes derived again")
    if found.identifiers is not None:
        left, seen = found.identifiers
        out.print(f"identifiers {seen} of the {left} that left can still be seen ({_percent(seen, left)})")
    prefix = _percent(found.prefix_tokens, found.tokens_after)
    out.print(f"prefix      {found.prefix_entries} entries, {found.prefix_tokens:,} tokens unchanged ({prefix})")
    for one in found.not_made:
        out.print(f"not made    {one.how} at event {one.seq}, of the history at {one.base_seq}: {one.reason}")


def _because(found: Explanation) -> str:
    window = found.window
    limits = f"window {window.hard_limit:,}, pre-rot {window.pre_rot_tokens:,}, reserve {window.reserve_tokens:,}"
    if found.tier == "edit":
        return f"the agent compressed its history; {limits}"
    if found.asked is not None:
        return f"it was asked for{f' ({found.asked})' if found.asked else ''}; {limits}"
    own = "" if found.due_tokens == int(window.pre_rot_tokens * DUE_SHARE) else " by what reports have taught"
    return f"due from {found.due_tokens:,} tokens{own}; {limits}"


def _print_changes(name: str, changes: tuple[Compacted, ...], found: Explanation) -> None:
    if not changes:
        return
    out = console()
    before, after = sum(one.tokens_before for one in changes), sum(one.tokens_after for one in changes)
    out.print(f"{name:<11} {len(changes)} entries, {before:,} to {after:,} tokens")
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(min_width=11)
    for one in changes:
        what = f"{one.kind} of {one.name}" if one.name else one.kind
        back = f"`retold restore {found.key.session} {one.item}`" if one.back == "restore" else ""
        table.add_row("", one.item, what, f"{one.tokens_before:,} to {one.tokens_after:,}", back)
    print_table(table)


def _print_summary(summary: Summarised, parent: ForkPoint | None) -> None:
    out = console()
    ids = ", ".join(first if first == last else f"{first} to {last}" for first, last in summary.ranges)
    sizes = f"{summary.tokens_before:,} to {summary.tokens_after:,} tokens"
    out.print(f"summarised  {summary.entries} entries, {sizes}, as {', '.join(summary.item)}: {ids}")
    first, last = (_place(seq, parent) for seq in summary.seqs)
    when = "" if summary.times is None else ", {:%Y-%m-%d %H:%M:%S} to {:%Y-%m-%d %H:%M:%S}".format(*summary.times)
    instead = f" instead of {summary.instead_of}" if summary.instead_of else ""
    out.print(f"            events {first} to {last}{when}; written by {summary.summarizer}{instead}")
    for field in summary.fields:
        if field.lines:
            newest = " ".join(field.lines[-1].split())
            shown = newest if len(newest) <= LINE_CHARACTERS else newest[: LINE_CHARACTERS - 1] + "…"
            out.print(f"            {field.name} {len(field.lines)}, the last: {shown}")


def _print_findings(findings: Sequence[Finding], parent: ForkPoint | None) -> None:
    out = console()
    for one in findings:
        lines = "1 line" if one.lines == 1 else f"{one.lines} lines"
        events = ", ".join(_place(seq, parent) for seq in one.seqs)
        source = f"from event{'s' if len(one.seqs) > 1 else ''} {events}" if events else "from no event that is known"
        out.print(f"guarded     {lines} of {one.field} {DONE[one.action]}: {one.rule}, {source}")


def _place(seq: int, parent: ForkPoint | None) -> str:
    """Return *seq* as it is called where it was recorded: what a fork inherited, by its parent's sequence."""
    if parent is None or not -parent.seq < seq <= 0:
        return str(seq)
    return f"{seq + parent.seq} of {parent.session}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "0%"
