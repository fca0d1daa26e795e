"""``retold diff``: what is between two places of a session, or of a session and its fork."""

from typing import Annotated, Any

import typer
from rich.table import Table

from retold.cli.options import Json, Options, console, place_of, print_json, print_table, run
from retold.events import SessionKey, session_key
from retold.fold import History
from retold.replay import At, Change, Diff, Lost, compare, history_at, item_text

COLUMN_CHARACTERS = 60
"""How much of an item's text a column shows."""

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def diff(  # noqa: PLR0913, PLR0917 - each is an argument or an option of the command
    context: typer.Context,
    session: str,
    a: Annotated[str, typer.Argument(help="A sequence, a time (UTC), or a tag.")],
    b: Annotated[str | None, typer.Argument(help="Another; without it, now.")] = None,
    other: Annotated[str | None, typer.Option("--with", help="The session that B is a place of, as a fork.")] = None,
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="Show both histories in columns.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what came, went and changed between two places, and what the model can see no more."""
    first = session_key(session, tenant=context.obj.tenant)
    second = first if other is None else session_key(other, tenant=context.obj.tenant)
    found, before, after = run(_compare(context.obj, (first, place_of(a)), (second, place_of(b))))
    if as_json:
        print_json(_row(found))
        return
    if side_by_side:
        _print_columns(before, after, found)
    else:
        _print_changes(found)
    _print_rest(found)


async def _compare(
    options: Options, a: tuple[SessionKey, At | None], b: tuple[SessionKey, At | None]
) -> tuple[Diff, History, History]:
    async with options.client() as client:
        found = await compare(client.log, *a, *b)
        before = await history_at(client.log, a[0], found.before.seq)
        return found, before, await history_at(client.log, b[0], found.after.seq)


def _row(found: Diff) -> dict[str, Any]:
    sides = {
        name: {"tenant": side.key.tenant, "session": side.key.session, "seq": side.seq}
        | {"version": side.version, "tokens": side.tokens, "hash": side.hash}
        for name, side in (("before", found.before), ("after", found.after))
    }
    kinds = {kind: {"before": then, "after": now} for kind, (then, now) in found.kinds.items()}
    lists = ("added", "removed", "changed", "compactions", "lost")
    return {**sides, "kinds": kinds, **{name: getattr(found, name) for name in lists}}


def _print_changes(found: Diff) -> None:
    table = Table("", "item", "what", "how", "before", "after", box=None)
    for name, sign in _SIGNS.items():
        changes: tuple[Change, ...] = getattr(found, name)
        for one in changes:
            how = one.how if one.into is None else f"{one.how} into {one.into}"
            table.add_row(sign, one.item, one.kind, how, f"{one.tokens_before:,}", f"{one.tokens_after:,}")
    if table.row_count:
        print_table(table)


def _print_columns(before: History, after: History, found: Diff) -> None:
    table = Table("before", "", "after", box=None)
    now = {entry.item.id: _short(f"{entry.item.id} {item_text(entry.item)}") for entry in after.entries}
    removed = {one.item for one in found.removed}
    changed = {one.item: one.how for one in found.changed}
    for entry in before.entries:
        item = entry.item.id
        left = _short(f"{item} {item_text(entry.item)}")
        right = "" if item in removed else now.pop(item)
        table.add_row(left, "-" if item in removed else "~" if item in changed else "=", right)
    for right in now.values():
        table.add_row("", "+", right)
    print_table(table)


def _print_rest(found: Diff) -> None:
    out, before, after = console(), found.before, found.after
    for one in found.compactions:
        told = f"compaction {one.version or ''} at {one.seq}, {one.tier}:"
        out.print(f"{told} {one.receipt.tokens_before:,} to {one.receipt.tokens_after:,} tokens")
    kinds = ", ".join(f"{kind} {then:,} to {now:,}" for kind, (then, now) in found.kinds.items() if then != now)
    out.print(f"{before.tokens:,} to {after.tokens:,} tokens" + (f": {kinds}" if kinds else ""))
    if found.lost:
        out.print(f"can be seen no more, {len(found.lost)}:")
    for lost in found.lost:
        where = lost.kind if lost.field is None else f"{lost.kind}, {lost.field}"
        out.print(f"  {lost.item} {where}: {_short(lost.text)}")
        out.print(f"    {lost.how}, {lost.lines} lines; back by {_command(lost, found)}")


def _command(lost: Lost, found: Diff) -> str:
    session = found.before.key.session
    match lost.back:
        case "restore":
            return f"`retold restore {found.after.key.session} {lost.item}`"
        case "undo":
            return f"`retold undo {found.after.key.session}`"
        case "rewind":
            return f"`retold rewind {session} --to {lost.seq}`"
        case _:
            return f"`retold history {session} --at {lost.seq}`"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= COLUMN_CHARACTERS else text[: COLUMN_CHARACTERS - 1] + "…"
