"""Decide on one session and carry it out: plan, result, publication, snapshot, each an effect of its own.

Rules:
- Every write names the sequence that the session must end at. Somebody else's event in between means: read it, and if
  it changes what the plan was made on, abandon the plan.
- A plan goes into the log before a model is asked, so that others see what is being waited for. Where nobody is asked,
  it goes with its result, in one append.
- An effect that was done is found again after a crash; one that was not is done again. Ids and times of what is written
  differ then, the history does not.
"""

import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress

from retold.errors import ConflictError, CorruptLogError, FloorError, UnavailableError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    Draft,
    Fact,
    SessionErased,
    SessionKey,
)
from retold.fold import Context, Rows
from retold.log.drafting import drafts_of
from retold.log.publishing import publish
from retold.log.tail import read_tail
from retold.log.walking import is_snapshot_due, snapshots_along
from retold.policy import (
    Bonds,
    Decision,
    Replacement,
    SummarizeSpan,
    carry_out,
    due_recorded,
    limits_for,
    plan_id,
    replace,
    tier_of,
)
from retold.ports import Clock, Log, snapshot_of
from retold.telemetry import NoTelemetry, Telemetry
from retold.worker.hooks import Hooks, decide_with, tell
from retold.worker.live import LiveSession
from retold.worker.summarising import SummaryWriter

ACTOR = "worker"
"""Who the events say wrote them."""

CONFLICTS_MAX = 1_000
"""How often one write is tried again because somebody else wrote first; an agent in full flow loses seldom."""

SNAPSHOTS_BEHIND = 2
"""From so many snapshots that are due on, those between are made from the events, for the state there has passed by."""

TURN_EVENTS = 256
"""A turn moves over so many events at most, 1 to 3 ms of folding, or up to a compaction: then others have theirs."""

DROP_EVENTS = 16
"""From so many events on since its newest snapshot a session that is dropped gets one: 1 ms, as reading them takes."""

PUBLISH_BEHIND_MAX = 64
"""A worker further behind than so many events publishes when it has caught up: nobody waits for what comes before."""

_log = logging.getLogger(__name__)


class Compactor:
    """Bring sessions up to date: fold what is new, compact where the policy says so, publish."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        writer: SummaryWriter,
        *,
        hooks: Hooks | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Write to *log*, with summaries by *writer*."""
        self._log = log
        self._clock = clock
        self._writer = writer
        self._hooks = hooks
        self._telemetry = telemetry or NoTelemetry()
        self._published: dict[SessionKey, int] = {}
        self._snapshots: dict[SessionKey, tuple[int, int]] = {}

    async def open(self, key: SessionKey) -> LiveSession:
        """Load a session from its newest usable snapshot and the events after it.

        Raises:
            CorruptLogError: if an event is missing or damaged.
        """
        damage: CorruptLogError | None = None
        try:
            published = await self._log.load_history(key)
            version = 0 if published is None else published.version
        except CorruptLogError as error:
            damage, version = error, 0
        tail = await read_tail(self._log, key)
        self._snapshots[key] = (0 if tail.base is None else tail.base.seq, 0)
        live = LiveSession(key, tail.events, base=tail.base)
        if damage is not None:
            # The events are whole, or they would have said so. The next compaction publishes another, or a rebuild.
            _log.warning("passed over what is published: %s", damage)
            version = 0 if live.replaced is None else live.replaced.version
        self._published[key] = version
        return live

    async def drop(self, live: LiveSession) -> None:
        """Let a session go that is no longer held, with a snapshot where opening it again would read much."""
        seq = self._snapshots.get(live.key, (0, 0))[0]
        self.forget(live.key)  # first: it may be opened again while this is written
        if live.is_settled and live.head.seq - seq >= DROP_EVENTS:
            with suppress(UnavailableError):  # it is a shortcut, and the events are all there
                await self._log.save_snapshot(live.key, snapshot_of(live.snapshot()))

    def forget(self, key: SessionKey) -> None:
        """Forget what is remembered of a session that is no longer held."""
        self._log.leave(key)
        self._published.pop(key, None)
        self._snapshots.pop(key, None)

    def fold(self, live: LiveSession, *, until: int) -> bool:
        """Fold what has come of a session, for one turn, without waiting for anything.

        Return whether that was all that there is to do, as it mostly is: nothing is due, and the log goes on to *until*
        and not beyond *live*. Else the rest is for `advance`.
        """
        if until < live.head.seq:
            return False
        self._take_in(live)
        if until > live.head.seq or _step(live) or not live.is_settled:
            return False
        return not self._lacks_snapshot(live) and not self._lacks_history(live)

    def _take_in(self, live: LiveSession) -> None:
        for recorded in self._log.arrived(live.key, head=live.head):
            live.take(recorded)

    async def advance(self, live: LiveSession, *, until: int | None = None) -> bool:
        """Decide at a rewind and after each source event, for one turn; return whether the session is up to date.

        What is new is read where the log goes on to *until* and *live* does not end there; None: it was just opened. A
        stale session is to be opened again. Cancelled or failed in the middle, it is to be opened again too.
        """
        known = live.head.seq
        self._take_in(live)
        if until is not None and not known <= until <= live.head.seq:  # earlier than known: the log may have lost some
            await self._catch_up(live)
            self._log.arrived(live.key, head=live.head)
        if _step(live):
            await self._compact(live)
        if not live.is_settled:
            return False
        if live.head.seq > 0:
            await self._keep_snapshots(live)
            await self._publish(live)
        return True

    async def _compact(self, live: LiveSession) -> None:
        context = live.begin_decision()
        planned: list[Fact] = []
        bonds = Bonds(context.entries)
        try:
            decision = await decide_with(self._hooks, context, bonds)
            if decision is None:
                return
            self._telemetry.compacting(context, decision)
            planned = [] if _is_planned(context) else [_planned(context, decision)]
            if planned and self._waits_for_model(context, decision):
                if not await self._write(live, context, planned):
                    return
                planned = []
            replacement = await self._replacement(context, decision, bonds)
        except FloorError as error:
            await self._write(live, context, [*planned, _failed(context, error)])
            self._telemetry.gave_up(context, "failed")
            return
        if await self._write(live, context, [*planned, *replacement.facts], made=replacement.rows):
            await tell(self._hooks, live.key, replacement.facts)
            replaced = replacement.replaced
            _log.info(
                "compacted session %s: version %d by %s, %d tokens to %d",
                live.key.session,
                replaced.version,
                replaced.tier,
                replaced.receipt.tokens_before,
                replaced.receipt.tokens_after,
                extra={"session": live.key.session, "tenant": live.key.tenant, "tier": replaced.tier},
            )
            self._telemetry.compacted(context, replacement.facts)
            await self._show(live, replacement.rows)

    async def _show(self, live: LiveSession, made: Rows) -> None:
        """Keep and publish what was just recorded, unless the worker is far behind; *made* are the rows of it."""
        if live.replaced is None or live.behind > PUBLISH_BEHIND_MAX:
            return
        entries = live.replaced.entries
        rows = made if made.are_of(entries) else Rows(entries)  # more may have come while it was made
        live.weigh(rows)
        if live.is_settled:  # first: what is published names the entries that a snapshot holds
            await self._keep_snapshot(live, rows=rows)
        await self._publish(live, rows=rows)

    def _waits_for_model(self, context: Context, decision: Decision) -> bool:
        return isinstance(decision, SummarizeSpan) and self._writer.asks_a_model(context)

    async def _replacement(self, context: Context, decision: Decision, bonds: Bonds) -> Replacement:
        replacement = None
        if not isinstance(decision, SummarizeSpan):
            replacement = replace(context, decision, bonds=bonds)
        else:
            async with aclosing(self._writer.write(context, decision)) as written:
                async for carried_out, summary in written:
                    if (replacement := replace(context, carried_out, summary=summary, bonds=bonds)) is not None:
                        break
        return replacement or carry_out(context, limits_for(context))

    async def _write(
        self, live: LiveSession, context: Context, facts: Sequence[Fact], *, made: Rows | None = None
    ) -> bool:
        """Append *facts*, decided at *context*; return False if the plan had to be abandoned instead."""
        drafts = drafts_of(facts, self._clock, actor=ACTOR)
        for _ in range(CONFLICTS_MAX):
            self._take_in(live)  # what came while it was decided: an append behind it is not refused
            if live.is_stale or live.is_overtaken:
                self._telemetry.gave_up(context, "abandoned")
                await self._abandon(live, context)
                return False
            if await self._append(live, drafts, made=made):
                return True
        raise _crowded_out(live.key)

    async def _abandon(self, live: LiveSession, context: Context) -> None:
        if live.outline.plan is None or not live.is_overtaken:
            return  # nothing is open, or another worker is at the same plan and may have settled it
        reason = "the history it was made on has changed"
        abandoned = CompactionAbandoned(plan=plan_id(context), base_seq=context.seq, reason=reason)
        drafts = drafts_of([abandoned], self._clock, actor=ACTOR)
        for _ in range(CONFLICTS_MAX):
            if await self._append(live, drafts):
                return
        raise _crowded_out(live.key)

    async def _append(self, live: LiveSession, drafts: Sequence[Draft], *, made: Rows | None = None) -> bool:
        """Append *drafts* at the session's end as it is known; if it has moved on, follow it and return False."""
        known = live.head.seq
        try:
            # No other try stored them: one without an answer ends this turn.
            recorded = await self._log.append(live.key, drafts, expected=known, are_new=True)
        except ConflictError:
            self._telemetry.conflicted()
            self._take_in(live)  # mostly what was in the way has come by now
            if live.head.seq == known:
                await self._catch_up(live)
            return False
        for one in recorded:
            live.take_own(one, made=made)
        return True

    async def _catch_up(self, live: LiveSession) -> None:
        async for recorded in self._log.read(live.key, after=live.head.seq):
            if isinstance(recorded.event.data, SessionErased):
                live.take(recorded)  # what came before it may be gone already: the session is opened again
                return
            if recorded.event.prev != live.head.hash:
                raise CorruptLogError(
                    "its link to the event before is broken", session=live.key.session, seq=recorded.event.seq
                )
            live.take(recorded)

    async def _publish(self, live: LiveSession, *, rows: Rows | None = None) -> None:
        context = live.replaced
        if context is not None and self._lacks_history(live):
            # What no compaction could bring under the window nobody can send: then what was published before it goes.
            await publish(self._log, context, rows=rows, known_hash=live.replaced_hash)
            self._published[live.key] = context.version
            self._telemetry.published(live.key)
        live.release()

    def _lacks_history(self, live: LiveSession) -> bool:
        return live.replaced is not None and live.replaced.version > self._published.get(live.key, 0)

    def _lacks_snapshot(self, live: LiveSession, *, times: int = 1) -> bool:
        """Return whether a snapshot is due, or so many *times* what one is due for has come since the newest."""
        seq, read_bytes = self._snapshots.get(live.key, (0, 0))
        events, size_bytes = live.head.seq - seq, live.read_bytes - read_bytes
        return is_snapshot_due(events=events // times, size_bytes=size_bytes // times, entries=live.entries)

    async def _keep_snapshots(self, live: LiveSession) -> None:
        """Keep the snapshots that are due: mostly one, of the present state; where it lay behind, all along."""
        if not self._lacks_snapshot(live):
            return
        if self._lacks_snapshot(live, times=SNAPSHOTS_BEHIND):
            seq = self._snapshots.get(live.key, (0, 0))[0]
            base = (await read_tail(self._log, live.key, at=seq)).base if seq else None
            async with aclosing(snapshots_along(self._log, live.key, base=base, until=live.head.seq)) as due:
                async for snapshot in due:
                    await self._log.save_snapshot(live.key, snapshot)
        await self._keep_snapshot(live)

    async def _keep_snapshot(self, live: LiveSession, *, rows: Rows | None = None) -> None:
        await self._log.save_snapshot(live.key, snapshot_of(live.snapshot(), rows=rows))
        self._snapshots[live.key] = (live.head.seq, live.read_bytes)


def _step(live: LiveSession) -> bool:
    """Move on to the next place where a decision is to be taken, or for a turn; return whether it is there.

    The present place counts: a session that was just loaded may stand at a rewind.
    """
    moved, is_due = 0, live.awaits_decision
    while not is_due and moved < TURN_EVENTS and not live.is_stale and live.step():
        moved += 1
        is_due = live.awaits_decision
    return is_due


def _is_planned(context: Context) -> bool:
    """Return whether the plan that is open was made here; one that a crash left open further back is superseded."""
    return context.plan is not None and context.plan.base_seq == context.seq


def _planned(context: Context, decision: Decision) -> CompactionPlanned:
    return CompactionPlanned(
        plan=plan_id(context),
        base_seq=context.seq,
        tier=tier_of(decision),
        tokens_before=context.tokens.upper,
        target_tokens=decision.target_tokens,
    )


def _failed(context: Context, error: FloorError) -> CompactionFailed:
    due = due_recorded(context)
    return CompactionFailed(plan=plan_id(context), base_seq=context.seq, reason=str(error), due_tokens=due)


def _crowded_out(key: SessionKey) -> UnavailableError:
    return UnavailableError(f"expected to write to session {key.session!r}, others wrote first {CONFLICTS_MAX} times")
