"""A session as a picture for the terminal: what was appended, what the model is sent, every compaction marked."""

import plotext
from msgspec import Struct

from retold.events import Receipt, Tier, Window

POINTS_MAX = 400
"""A longer course is thinned to about this many points; every compaction stays."""

_MARKERS = {"offload": ("o", "yellow"), "summary": ("S", "magenta"), "truncate": ("T", "red"), "edit": ("E", "cyan")}


class Mark(Struct, frozen=True):
    """Hold one compaction: where it took effect on the picture, and how it is told in a line."""

    seq: int
    tier: Tier
    tokens_before: int
    tokens_after: int

    @property
    def text(self) -> str:
        """Return the compaction in one line."""
        return f"event {self.seq:>6}: {self.tier:<8} {self.tokens_before:>9,} tokens to {self.tokens_after:>9,}"


class Course:
    """Collect the sizes of a session as it grows, in tokens."""

    def __init__(self, window: Window) -> None:
        """Start an empty course under *window*."""
        self.window = window
        self.marks: list[Mark] = []
        self.seqs: list[int] = []
        self.appended: list[int] = []
        self.sent: list[int] = []

    def add(self, seq: int, *, appended: int, sent: int) -> None:
        """Add the sizes after event *seq*."""
        self.seqs.append(seq)
        self.appended.append(appended)
        self.sent.append(sent)

    def mark(self, seq: int, tier: Tier, receipt: Receipt) -> None:
        """Mark a compaction that event *seq* recorded."""
        self.marks.append(Mark(seq, tier, receipt.tokens_before, receipt.tokens_after))


def draw(course: Course, *, width: int, height: int, plain: bool = False) -> str:
    """Return the picture, *width* by *height* characters; *plain* leaves colours out."""
    plotext.clear_figure()
    plotext.limit_size(False, False)  # noqa: FBT003 - plotext's own way
    plotext.plotsize(width, height)
    plotext.theme("clear" if plain else "pro")
    step = max(1, len(course.seqs) // POINTS_MAX)
    top = max([course.window.input_limit, *course.sent])
    inside = [at for at in range(0, len(course.seqs), step) if course.appended[at] <= top]
    plotext.plot([course.seqs[at] for at in inside], [course.appended[at] for at in inside], label="appended in all")
    plotext.plot(course.seqs[::step], course.sent[::step], label="sent to the model")
    for tier, (marker, colour) in _MARKERS.items():
        marks = [mark for mark in course.marks if mark.tier == tier]
        if marks:
            plotext.scatter(
                [mark.seq for mark in marks],
                [mark.tokens_before for mark in marks],
                marker=marker,
                color=colour,
                label=tier,
            )
    plotext.hline(course.window.pre_rot_tokens, "red")
    now, threshold = course.sent[-1] if course.sent else 0, course.window.pre_rot_tokens
    plotext.title(f"{now:,} of {threshold:,} tokens (the line)")
    plotext.ylim(0, top)
    picture = str(plotext.build())
    return str(plotext.uncolorize(picture)) if plain else picture
