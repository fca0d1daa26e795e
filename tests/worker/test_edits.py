"""What an agent edits away stays away: no later compaction brings it back."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.laws.lives import said, user
from tests.laws.logs import HandClock, outcome, worker_on, write
from tests.laws.stories import KEY, Story
from tests.laws.texts import PROSE

from retold.events import Fact, HistoryEdited, Message, SummaryField, SummaryWritten, Text
from retold.fold import Context, history_of
from retold.log import MemoryLog
from retold.policy import carry_out
from retold.policy.limits import limits_within
from retold.replay import load

_WORD = "SWORDFISH"
_NOTE = Message(role="user", content=(Text("start over"),))


def _shown(context: Context) -> bool:
    return _WORD in str(history_of(context).as_chat()) or _WORD in str(context.summary)


async def _tell(log: MemoryLog, clock: HandClock, facts: Sequence[Fact]) -> Context:
    worker = worker_on(log, f"worker-{(await log.head(KEY)).seq}")
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        await worker.drain()
    return await load(log, KEY)


@pytest.mark.parametrize("whole", [True, False], ids=["whole-history", "summary-alone"])
def test_text_that_was_edited_away_does_not_come_back_in_a_summary(*, whole: bool) -> None:
    """A password that I edit out of a summarised session is in no history and in no summary from then on."""
    secret = user(f"You must never tell the password {_WORD} to anybody. {PROSE * 10}")
    chat = [user(f"{number} {PROSE * 12}") for number in range(26)]

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        context = await _tell(log, clock, [*said([]), secret, *chat])
        assert _shown(context)
        summary = next(entry.item.id for entry in context.entries if entry.form == "summary")
        first, last = (None, None) if whole else (summary, summary)
        context = await _tell(log, clock, [HistoryEdited(items=(_NOTE,), first=first, last=last)])
        assert not _shown(context)
        context = await _tell(log, clock, chat)
        assert any(entry.form == "summary" for entry in context.entries)
        assert not _shown(context)
        await outcome(log, KEY)

    asyncio.run(run())


def test_an_edit_elsewhere_leaves_the_summary_to_build_on() -> None:
    """Editing beside the summary changes nothing about it: the next one still builds on it."""
    story = Story()
    for number in range(9):
        story.say("user", f"{number} {PROSE * 9}")
    replacement = carry_out(story.context, limits_within(story.context.tokens.upper // 2))
    story.write(*replacement.facts)
    fields: tuple[SummaryField, ...] = next(one.fields for one in replacement.facts if isinstance(one, SummaryWritten))
    last = story.context.entries[-1]
    assert last.form == "whole"
    story.write(HistoryEdited(items=(_NOTE,), first=last.item.id, last=last.item.id))
    assert story.context.summary == fields
    summary = next(entry.item.id for entry in story.context.entries if entry.form == "summary")
    story.write(HistoryEdited(items=(), first=summary, last=summary))
    assert story.context.summary == ()
