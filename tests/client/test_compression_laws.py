"""Laws of compressions by a model: what must stay stays, all else comes back, and the session proves itself."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from tests.laws.logs import HandClock, outcome, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import CHANGED, MANAGED, SAID, WINDOWS, WORKED, Story, stories

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import CompactionFailed
from retold.fold import Context, history_hash
from retold.log import MemoryLog
from retold.policy.bonds import atoms
from retold.policy.compressing import Range, movable_runs
from retold.policy.pins import fixed_positions
from retold.replay import load


def _ids(context: Context) -> list[str]:
    return [entry.item.id for entry in context.entries]


async def _state(session: Session) -> Context:
    return await load(session._log, session.key)  # noqa: SLF001 - the state behind what users see


async def _told_again(story: Story) -> tuple[MemoryLog, Session]:
    """Return a session of a log that says what the story says."""
    log, clock = MemoryLog(), HandClock()
    session = await Client(log, clock).session("s", window=story.context.window)
    for recorded in story.events[1:]:
        await write(log, session.key, [recorded.event.data], clock=clock)
    return log, session


_LIVES = stories(*SAID, *MANAGED, *WORKED, "pin", "restore", at_least=8, at_most=40)


@law(60)
@given(_LIVES, st.integers(0, 99), st.integers(0, 99))
def test_what_was_compressed_comes_back_as_it_was(story: Story, one: int, two: int) -> None:
    """Whatever valid range I compress, the rest stays as it is, and decompressed, every entry is what it was."""

    async def run() -> None:
        _, session = await _told_again(story)
        before = await _state(session)
        if not before.entries:
            return
        first, last = sorted((one % len(before.entries), two % len(before.entries)))
        ids, fixed = _ids(before), fixed_positions(before)
        runs = movable_runs(before, first, last)
        ranges = [Range(first=ids[run.start], last=ids[run.stop - 1], messages=("done",)) for run in runs[:3]]
        try:
            done = await session.compress(ranges)
        except InputError:
            return
        between = await _state(session)
        assert {ids[at] for at in fixed} <= set(_ids(between))
        for atom in atoms(before.entries):
            left = [at for at in atom if ids[at] in _ids(between)]
            assert len(left) in (0, len(atom))
        assert between.entries[: runs[0].start] == before.entries[: runs[0].start]
        assert between.tokens.upper == done.receipt.tokens_after < done.receipt.tokens_before == before.tokens.upper
        assert [one.tokens_after < one.tokens_before for one in done.blocks] == [True] * len(done.blocks)
        for block in reversed(done.blocks):
            await session.decompress(block.block)
        after = await _state(session)
        assert after.entries == before.entries
        assert (after.tokens, after.summary) == (before.tokens, before.summary)

    asyncio.run(run())


@law(40)
@given(stories(*SAID, *MANAGED, *WORKED, *CHANGED, at_least=10, at_most=40))
def test_a_session_that_compresses_itself_is_proven_and_worked_on(story: Story) -> None:
    """Replayed, such a session gives the same hash twice; a worker brings it into its window, or names the floor."""

    async def run() -> None:
        log, session = await _told_again(story)
        found = await outcome(log, session.key)
        assert found.hash == history_hash(story.context.entries) == (await outcome(log, session.key)).hash
        await worker_on(log).drain()
        worked = await outcome(log, session.key)
        again = [one.event.data async for one in log.read(session.key, after=len(story.events))]
        failed = any(isinstance(fact, CompactionFailed) for fact in again)
        settled = story.context.settled_tokens or story.context.ineffective
        assert worked.tokens <= story.context.window.input_limit or failed or settled

    asyncio.run(run())


def test_a_compression_of_a_summary_gives_it_back_to_build_on() -> None:
    """A summary that I compressed and opened again is what the next summary is built on, as before."""
    story = Story(WINDOWS[0])
    for number in range(12):
        story.say("user" if number % 3 == 0 else "assistant", f"Decision {number}: we must use port {number}. " * 30)

    async def run() -> None:
        log, session = await _told_again(story)
        await worker_on(log).drain()
        before = await _state(session)
        at = next(nth for nth, entry in enumerate(before.entries) if entry.form == "summary")
        assert before.summary
        done = await session.compress([Range(first=_ids(before)[at], last=_ids(before)[at], messages=("ports",))])
        assert (await _state(session)).summary == ()
        await session.decompress(done.blocks[0].block)
        after = await _state(session)
        assert (after.entries, after.summary) == (before.entries, before.summary)

    asyncio.run(run())
