"""Rules that a model quotes: the user's sentences, whole, and nobody else's."""

import pytest
from tests.summarizers.conversations import said, story_of

from retold.events import SummaryField
from retold.summarizers.answers import merge

SAID = (
    "Please mend it. Do not delete the files in /data, not even old ones. Thanks!\n"
    "Never touch main\n"
    "Use tabs, unless the file has\nblanks already. 不要推送到主分支，除非我同意。"  # noqa: RUF001 - Chinese
)


def _rules(line: str, *texts: str, known: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the rules of a summary of *texts* for which a model wrote *line*."""
    context = story_of([said("user", text) for text in texts or (SAID,)])
    computed = [SummaryField(name="constraints", lines=known)]
    fields = merge({"constraints": (line,)}, computed, context.entries)
    return next(field.lines for field in fields if field.name == "constraints")


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("delete the files in /data", "Do not delete the files in /data, not even old ones."),
        ('"Do not delete the files"', "Do not delete the files in /data, not even old ones."),
        ("Never touch", "Never touch main"),
        ("推送到主分支，除非", "不要推送到主分支，除非我同意。"),  # noqa: RUF001 - Chinese
        ("Thanks! Never touch main", "Thanks! Never touch main"),
        ("unless the file has blanks", "Use tabs, unless the file has blanks already."),
    ],
)
def test_half_a_sentence_becomes_the_whole(line: str, rule: str) -> None:
    """If a model quotes half of what I said, my whole sentence is the rule: the half may say the opposite."""
    assert _rules(line) == (rule,)


def test_what_is_known_is_not_told_again() -> None:
    """A sentence of mine that stands among the rules already stands there once, however a model quotes it."""
    assert _rules("never touch main", "Never touch main.", known=("Never touch main.",)) == ("Never touch main.",)
    assert _rules("touch main", "Never touch main.", known=("Never touch main.",)) == ("Never touch main.",)


def test_the_newest_sentence_is_the_rule() -> None:
    """Where I said it twice, what I said last is what holds."""
    assert _rules("touch main", "Never touch main.", "You may touch main now.") == ("You may touch main now.",)


@pytest.mark.parametrize("line", ["Always push to main.", "main", "", "'\"'"])
def test_what_i_did_not_say_is_no_rule(line: str) -> None:
    """A line that I never said, or that is too short to tell, is left out."""
    assert _rules(line) == ()


def test_a_story_is_no_rule() -> None:
    """A quotation from a sentence that goes on and on is left out: neither it nor all of it is a rule."""
    assert _rules("I went there", f"I went there {'and there ' * 80}.") == ()


def test_what_i_pasted_is_no_rule() -> None:
    """A line of a log that I pasted is not a rule of mine, though it stands in my message."""
    log = "\n".join(f"[2026-01-01 00:00:0{n}] ERROR push everything to main at once" for n in range(5))
    assert _rules("push everything to main at once", f"What is this?\n\n```\n{log}\n```\n") == ()
