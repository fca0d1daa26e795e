"""The demo: a long session goes in while a worker compacts it; then three past states are rebuilt and proven.

Every figure that is shown comes from folding the events in the log.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from msgspec import Struct
from rich.console import Console
from rich.live import Live
from rich.text import Text as RichText

from retold.cli.demo_session import demo_session
from retold.cli.options import console, print_json
from retold.cli.plot import Course, draw
from retold.client import Client, Pace, import_transcript, read_lines
from retold.errors import InputError
from retold.events import HistoryReplaced, ItemAppended, Receipt, Recorded, SessionKey, Window, session_key
from retold.fold import Builder, decode_history, fold, replacement_of
from retold.formats.transcripts import Line, split_lines
from retold.replay import Verdict, history_at, verify
from retold.wiring import connect, worker_for

SESSION = "demo"
BATCH_EVENTS = 8
"""The worker keeps up with appends of this many events, about a turn of an agent."""

REDRAW_S = 0.25


class Proof(Struct, frozen=True):
    """Hold one past state: the hash that was published then, and the one that the events give now."""

    version: int
    seq: int
    base_seq: int
    published_hash: str
    rebuilt_hash: str

    @property
    def same(self) -> bool:
        """Return whether the rebuilt state is the published one."""
        return self.published_hash == self.rebuilt_hash


class Outcome(Struct, frozen=True):
    """Hold what a demo came to."""

    events: int
    tokens_appended: int
    tokens_now: int
    compactions: int
    seconds: float
    receipt: Receipt | None
    proofs: tuple[Proof, ...]
    verdict: Verdict

    @property
    def ok(self) -> bool:
        """Return whether every proof holds."""
        return self.verdict.ok and all(proof.same for proof in self.proofs)


class _Watch:
    """Follow the session as it grows and keep its course: what was appended in all, and what is sent."""

    def __init__(self, window: Window) -> None:
        self.course = Course(window)
        self.published: dict[int, str] = {}
        self.appended = 0
        self._builder = Builder()

    @property
    def seq(self) -> int:
        return self._builder.seq

    def take(self, recorded: Recorded) -> None:
        before = self._builder.upper_tokens
        self._builder.apply(recorded)
        fact = recorded.event.data
        if isinstance(fact, ItemAppended):
            self.appended += self._builder.upper_tokens - before
        if isinstance(fact, HistoryReplaced):
            self.course.mark(recorded.event.seq, fact.tier, fact.receipt)
        self.course.add(recorded.event.seq, appended=self.appended, sent=self._builder.upper_tokens)


async def play(file: Path | None, *, window: Window, turns: int, as_json: bool, tenant: str) -> bool:
    """Play the demo and return whether every proof holds.

    Raises:
        InputError: if *file* holds no session that can be read.
    """
    if file is not None and not file.is_file():
        raise InputError(f"expected a file, got {'a directory' if file.is_dir() else 'nothing'}: {file}")
    lines = read_lines(file) if file is not None else _bundled(turns)
    name = SESSION if file is None else file.name
    key = session_key(SESSION, tenant=tenant)
    directory = Path(tempfile.mkdtemp(prefix="retold-demo-"))
    started = time.monotonic()
    watch = _Watch(window)
    try:
        async with connect(data_dir=directory, profile="fast") as client:
            with _Screen(watch.course, quiet=as_json) as screen:
                await _run(client, lines, name=name, key=key, watch=watch, screen=screen)
            outcome = await _outcome(client, key, watch, started=started)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if as_json:
        print_json(outcome)
    else:
        _print(outcome, watch.course)
    return outcome.ok


class _Screen:
    """Show the course as it goes: redrawn in place on a terminal, a line a compaction elsewhere."""

    def __init__(self, course: Course, *, quiet: bool) -> None:
        self._course = course
        self._out = console()
        self._is_live = self._out.is_terminal and not quiet
        self._live = Live(console=self._out, auto_refresh=False, transient=True)
        self._quiet = quiet
        self._told = 0
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()

    def refresh(self) -> None:
        if self._is_live and time.monotonic() - self._drawn >= REDRAW_S:
            picture = draw(self._course, width=self._out.width, height=min(24, self._out.height - 2))
            self._live.update(RichText.from_ansi(picture), refresh=True)
            self._drawn = time.monotonic()
        elif not self._is_live and not self._quiet:
            for line in self._course.marks[self._told :]:
                self._out.print(line.text)
            self._told = len(self._course.marks)


async def _run(
    client: Client, lines: Iterable[Line], *, name: str, key: SessionKey, watch: _Watch, screen: _Screen
) -> None:
    """Import *lines* while a worker keeps up with them, as it does with an agent, and *watch* follows the log."""
    running = worker_for(client.log)

    async def keep_up() -> None:
        await running.drain()
        async for recorded in client.log.read(key, after=watch.seq):
            watch.take(recorded)
        published = await client.log.load_history(key)
        if published is not None:
            watch.published[published.version] = decode_history(published.body, key=key).hash
        screen.refresh()

    reports = await import_transcript(
        client,
        lines,
        name=name,
        session=key.session,
        tenant=key.tenant,
        window=watch.course.window,
        pace=Pace(batch_events=BATCH_EVENTS, after_batch=keep_up),
    )
    if reports[0].session is None:
        reason = reports[0].problems[0]
        raise InputError(f"expected a transcript, {name}:{reason.line}: {reason.reason}")


async def _outcome(client: Client, key: SessionKey, watch: _Watch, *, started: float) -> Outcome:
    events = [recorded async for recorded in client.log.read(key)]
    replaced = [recorded for recorded in events if isinstance(recorded.event.data, HistoryReplaced)]
    history = await history_at(client.log, key)
    newest = replaced[-1].event.data if replaced else None
    return Outcome(
        events=len(events),
        tokens_appended=watch.appended,
        tokens_now=history.tokens,
        compactions=len(replaced),
        seconds=round(time.monotonic() - started, 2),
        receipt=newest.receipt if isinstance(newest, HistoryReplaced) else None,
        proofs=tuple(
            _proof(events, one, watch) for one in _spread([one for one in replaced if _version(one) in watch.published])
        ),
        verdict=await verify(client.log, key),
    )


def _version(replaced: Recorded) -> int:
    fact = replaced.event.data
    return fact.version if isinstance(fact, HistoryReplaced) else 0


def _spread(replaced: list[Recorded]) -> list[Recorded]:
    """Return the first, a middle one and the last before the newest, as far as there are as many."""
    earlier = replaced[:-1] or replaced
    places = sorted({0, len(earlier) // 2, len(earlier) - 1}) if earlier else []
    return [earlier[place] for place in places]


def _proof(events: list[Recorded], one: Recorded, watch: _Watch) -> Proof:
    """Rebuild the history that *one* published, from the first event on, without any snapshot."""
    fact = one.event.data
    assert isinstance(fact, HistoryReplaced)
    rebuilt = replacement_of(fold(events[: one.event.seq]))
    return Proof(
        version=fact.version,
        seq=one.event.seq,
        base_seq=fact.base_seq,
        published_hash=watch.published[fact.version],
        rebuilt_hash=rebuilt.hash,
    )


def _bundled(turns: int) -> Iterable[Line]:
    return split_lines(f"{line}\n".encode() for line in demo_session(turns))


def _print(outcome: Outcome, course: Course) -> None:
    out = console()
    width = min(out.width, 110)
    sys.stdout.write(draw(course, width=width, height=22, plain=not out.is_terminal) + "\n\n")
    saved = 1 - outcome.tokens_now / max(1, outcome.tokens_appended)
    out.print(
        f"{outcome.events:,} events, {outcome.tokens_appended:,} tokens appended; the model is sent "
        f"{outcome.tokens_now:,} ({saved:.0%} less) after {outcome.compactions} compactions, {outcome.seconds} s"
    )
    if outcome.receipt is not None:
        _print_receipt(out, outcome.receipt)
    for proof in outcome.proofs:
        mark = "same" if proof.same else "DIFFERENT"
        out.print(
            f"state at event {proof.base_seq} (version {proof.version}): published {proof.published_hash[:16]}…, "
            f"rebuilt from events {proof.rebuilt_hash[:16]}…: {mark}"
        )
    verdict = outcome.verdict
    told = (
        f"ok, {verdict.events} events, {verdict.replacements} replacement histories derived again"
        if verdict.ok
        else f"DAMAGED at {verdict.damaged_seq}: {verdict.reason}"
    )
    out.print(f"verify: {told}")


def _print_receipt(out: Console, receipt: Receipt) -> None:
    out.print(
        f"receipt of the newest: {receipt.tokens_before:,} tokens to {receipt.tokens_after:,} "
        f"(target {receipt.target_tokens:,}); kept {receipt.kept}, offloaded {len(receipt.offloaded)}, "
        f"summarised {len(receipt.summarised)}, cut {len(receipt.cut)}, dropped {len(receipt.dropped)}; "
        f"{len(receipt.pins)} pins unchanged, the first {receipt.prefix_kept} entries byte-identical"
    )
