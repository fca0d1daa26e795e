"""When the ladder stops trying, and when it starts again."""

import pytest
from tests.laws.stories import Move, Story
from tests.laws.texts import PROSE

from retold.events import CompactionFailed, CompactionRequested, HistoryReplaced, Role, Window


def _count(story: Story, kind: type) -> int:
    return sum(isinstance(one.event.data, kind) for one in story.events)


def _work(story: Story, steps: int, text: str, role: Role = "assistant") -> int:
    """Let *role* say *text* so many times, a worker beside it; return the greatest size of the history."""
    most = 0
    for _ in range(steps):
        story.say(role, text)
        story.tell([Move("compact", 1)])
        most = max(most, story.context.tokens.upper)
    return most


@pytest.mark.parametrize("requests", [0, 2, 5])
def test_requests_that_come_to_nothing_do_not_switch_compaction_off(requests: int) -> None:
    """However often I ask for a compaction of a small history, it is compacted when it has grown."""
    story = Story(Window(hard_limit=60_000, pre_rot=5_000))
    story.say("user", "Do the thing.")
    for _ in range(requests):
        story.write(CompactionRequested())
        story.tell([Move("compact", 1)])
    assert _count(story, CompactionFailed) == requests
    assert _work(story, 60, "some words of mine " * 60) < 5_000


def test_two_tries_that_free_too_little_stop_the_loop() -> None:
    """A history that must stay as it is, is not tried again at every message."""
    story = Story(Window(hard_limit=60_000, pre_rot=5_000))
    story.say("system", "a rule to keep " * 1_100)
    _work(story, 150, "ok", "system")
    assert _count(story, CompactionFailed) + _count(story, HistoryReplaced) == 2


def test_a_history_that_grew_well_beyond_its_last_try_is_tried_again() -> None:
    """Tries that came to nothing because of what stood there then do not let the history grow for ever."""
    story = Story(Window(hard_limit=60_000, pre_rot=5_000))
    story.say("system", "a rule to keep " * 1_100)
    _work(story, 150, "ok", "system")
    tried = _count(story, CompactionFailed) + _count(story, HistoryReplaced)
    assert tried == story.context.ineffective == 2
    assert _work(story, 100, "some words of mine " * 60) < 3 * 5_000


def test_above_the_ceiling_a_history_that_cannot_fit_is_not_tried_at_every_message() -> None:
    """With a system prompt larger than the window I get a few failures, not one a message."""
    story = Story(Window(hard_limit=2_000, pre_rot=1_500, reserve=200))
    story.say("system", PROSE * 100)
    _work(story, 30, "ok, next")
    assert _count(story, CompactionFailed) in (2, 3, 4, 5)
