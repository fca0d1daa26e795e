"""``retold top``: all workers and their largest sessions, as they answer just now.

Rules:
- Nothing is stored for it: workers are asked, and who does not answer is not there.
- A rate is the difference between two answers of one worker, by its own clock.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from retold.cli.options import Json, Options, console, print_json, run
from retold.errors import InputError

if TYPE_CHECKING:
    from retold.log.broker import Broker
    from retold.monitoring.reports import Report
    from retold.telemetry import SessionSize

ANSWER_S = 0.3
"""How long answers are waited for: a worker answers between two events, which take less than a millisecond."""
SESSIONS_SHOWN = 20
BAR = 20
"""How many signs a full window takes."""


class Rate(Struct, frozen=True):
    """Say how fast a worker goes, a second, between two of its answers."""

    events: float
    compactions: float
    published: float
    tokens_saved: float


class Row(Struct, frozen=True):
    """Show one worker: what it reports, and how fast it goes; None at the first answer."""

    report: "Report"
    rate: Rate | None


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Take one reading, over one interval, and end.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two readings.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Watch workers and sessions: rates, lag, compactions, and tokens against the window; Ctrl-C ends it."""
    if as_json and not once:
        raise InputError("expected --json with --once: a live view is for people")
    rows = run(_run(context.obj, once=once, interval_s=interval_s))
    if as_json:
        print_json(rows)
    elif once:
        console().print(_shown(rows))


async def _run(options: Options, *, once: bool, interval_s: float) -> list[Row]:
    from retold.wiring import reports  # noqa: PLC0415 - loads the client

    async with reports(options.url, data_dir=options.data_dir) as broker:
        before = await _ask(broker)
        if once:
            await asyncio.sleep(interval_s)
            return _rows(before, await _ask(broker))
        with Live(_shown(_rows([], before)), console=console(), screen=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(interval_s)
                now = await _ask(broker)
                live.update(_shown(_rows(before, now)), refresh=True)
                before = now


async def _ask(broker: "Broker") -> "list[Report]":
    from retold.monitoring.reports import read_report  # noqa: PLC0415 - loads the metrics

    answers = [read_report(answer) for answer in await broker.reports(wait_s=ANSWER_S)]
    return sorted((one for one in answers if one is not None), key=lambda one: (one.worker, one.pid))


def _rows(before: "Sequence[Report]", now: "Sequence[Report]") -> list[Row]:
    earlier = {(one.worker, one.pid): one for one in before}
    return [Row(report=one, rate=_rate(earlier.get((one.worker, one.pid)), one)) for one in now]


def _rate(before: "Report | None", now: "Report") -> Rate | None:
    seconds = 0.0 if before is None else now.up_s - before.up_s
    if before is None or seconds <= 0:
        return None
    return Rate(
        events=(now.events - before.events) / seconds,
        compactions=(now.compactions - before.compactions) / seconds,
        published=(now.published - before.published) / seconds,
        tokens_saved=(now.tokens_saved - before.tokens_saved) / seconds,
    )


def _shown(rows: Sequence[Row]) -> RenderableType:
    if not rows:
        return Text("no worker answers: start one with `retold worker` or `retold up`")
    return Group(_workers(rows), Text(), _sessions([size for row in rows for size in row.report.sessions]))


def _workers(rows: Sequence[Row]) -> Table:
    names = ("worker", "up", "leases", "live", "events/s", "compactions/s", "saved tokens/s", "lag", "late", "state")
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        one, rate = row.report, row.rate
        states = ", ".join(state.name for state in one.states) or "ok"
        aside = f"{one.quarantined} set aside" if one.quarantined else ""
        table.add_row(
            one.worker,
            _length(one.up_s),
            str(one.leases),
            str(one.live),
            *(("", "", "") if rate is None else _rates(rate)),
            f"{one.lag.events} in {one.lag.sessions}",
            f"{one.lag.seconds:.1f} s",
            "; ".join(filter(None, (states, aside))),
        )
    return table


def _rates(rate: Rate) -> tuple[str, str, str]:
    return f"{rate.events:,.0f}", f"{rate.compactions:,.1f}", f"{rate.tokens_saved:,.0f}"


def _sessions(sizes: "Sequence[SessionSize]") -> Table:
    """Show the fullest of the sessions that grew last."""
    table = Table("session", "tokens", "window", "", "compactions", "seq", box=None, pad_edge=False)
    fullest = sorted(sizes, key=lambda size: size.tokens / max(size.limit_tokens, 1), reverse=True)
    for size in fullest[:SESSIONS_SHOWN]:
        filled = min(BAR, BAR * size.tokens // max(size.limit_tokens, 1))
        late = size.tokens > size.pre_rot_tokens
        table.add_row(
            f"{size.key.tenant}/{size.key.session}",
            f"{size.tokens:,}",
            f"{size.limit_tokens:,}",
            Text("█" * filled + "░" * (BAR - filled), style="yellow" if late else "green"),
            str(size.version),
            str(size.seq),
        )
    return table


def _length(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
