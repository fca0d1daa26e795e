"""Calibration: what providers' usage reports say about our counts. Pure, in whole numbers, and bounded.

What a provider charges is taken as ``offset + ratio * our count``. The offset is what we never see (tool schemas, a
system prompt that the agent keeps to itself), the ratio is a vocabulary that is not ours, or framing. Rules:

- The ratio is learnt from growth: how much more the provider counted since an earlier report, beside what was appended
  since. So no offset disturbs it, and no compaction in between has to be known.
- Agents make requests beside the conversation too (a title, a check), often with the same model. What is reported for
  them is no growth of it, nor is what comes after them. So two places are kept to grow from, and a report goes on from
  the newest that it can have grown from.
- What a report is compared with, the *reference*, follows from source events alone: the history without its newest
  reply, as if nothing had been compacted since the last barrier. Only the agent knows which history it really sent, and
  a worker's writing in between must not matter: folding ``report, replaced`` gives the same as ``replaced, report``.
- A report that stands for less than the reference says nothing of the offset: it was made after a compaction. One that
  grew by less than half of what was appended, or by five times as much, says nothing of the ratio: it is another place.
- Both are moving averages with bounds; no report moves the ratio by more than a quarter of the way, or the offset by
  more than half.
- It only ever makes a history larger than counted: a report that is too low changes nothing.
"""

from msgspec import Struct, structs

from retold.events import Item, Message, Opaque, Reasoning, ToolCall, UsageReported, Window

UNIT = 1_000
"""The ratio is in thousandths."""

RATIO_MAX = 2_500
"""The most that is believed; Claude Opus 5 counts its sessions twice as large as o200k_base, the most we measured."""

GROWTH_SHARE_MIN = 2
"""A report that grew by less than one in this many of the tokens appended was made after a compaction."""

GROWTH_MAX = 2 * RATIO_MAX
"""One that grew by more than this, in thousandths, is none of the same conversation, or was not before."""

PLACES_MAX = 2
"""The conversation's own, and that of requests beside it. (With one, a report of 400 tokens after each of the
conversation's brought the ratio to 2,466 in twenty steps, and compactions at 40% of the size that was due.)"""

GROWTH_TOKENS = 4_000
"""Growth of this many tokens has full weight; less has less, for a few tokens more or less are framing."""

OFFSET_SHARES = (2, 5)
"""The offset is believed up to this share of the pre-rot threshold: below a compaction's target, at three fifths."""

RATIO_STEP = 4
"""A report moves the ratio by at most one in this many of the way."""

OFFSET_STEP = 2
"""A report moves the offset by one in this many of the way: half, so that a session of five requests knows it."""


class Place(Struct, frozen=True):
    """Hold what a report said, and what our count was of what it was made of.

    Attributes:
        said_tokens: the whole prompt, by the provider's count.
        reference_tokens: the reference then, by ours.
        model: the model that it was reported for; may be empty.
    """

    said_tokens: int
    reference_tokens: int
    model: str = ""


class Calibration(Struct, frozen=True):
    """Hold what reports said so far.

    Attributes:
        ratio: the provider's tokens for a thousand of ours, 1,000 to `RATIO_MAX`.
        offset: the provider's tokens beside the history.
        places: where the next report may have grown from, since the last barrier, the newest first.
        freed_tokens: by how much compactions made the history smaller since the last barrier.
        reply_tokens: our count of the newest reply, the run of items that a model made at the history's end.
    """

    ratio: int = UNIT
    offset: int = 0
    places: tuple[Place, ...] = ()
    freed_tokens: int = 0
    reply_tokens: int = 0

    def charged(self, counted_tokens: int) -> int:
        """Return what a provider takes for a history of *counted_tokens* of ours; never less than them."""
        return max(counted_tokens, self.offset + -(-counted_tokens * self.ratio // UNIT))

    def counted(self, charged_tokens: int) -> int:
        """Return the largest history, by our count, that a provider takes for at most *charged_tokens*; 0 if none."""
        return max(0, min(charged_tokens, (charged_tokens - self.offset) * UNIT // self.ratio))

    def grown(self, charged_tokens: int) -> int:
        """Return how much a history must grow, by our count, for the provider to take *charged_tokens* more."""
        return charged_tokens * UNIT // self.ratio


UNTAUGHT = Calibration()
"""Before the first report, a provider takes what we count."""


def is_reply(item: Item) -> bool:
    """Return whether a model made *item*, so that the request that brought it did not hold it."""
    match item:
        case Message():
            return item.role == "assistant"
        case ToolCall() | Reasoning():
            return True
        case Opaque():
            return not item.kind.endswith("_output")
        case _:
            return False


def after_barrier(calibration: Calibration) -> Calibration:
    """Return what still holds after the history was changed by somebody else: the averages, not the place."""
    return Calibration(ratio=calibration.ratio, offset=calibration.offset)


def within(calibration: Calibration, window: Window) -> Calibration:
    """Return what still holds under another *window*: the averages, the offset within its bound there."""
    offset = min(calibration.offset, _offset_most(window))
    return Calibration(ratio=calibration.ratio, offset=offset, reply_tokens=calibration.reply_tokens)


def learn(before: Calibration, report: UsageReported, *, reference_tokens: int, window: Window) -> Calibration:
    """Return *before* moved by *report*, made of a history of *reference_tokens*; unchanged by one of no credit.

    A provider takes no request above the hard limit of its window, so a report above says nothing about this session.
    """
    said = _input_tokens(report)
    if not 0 < said <= window.hard_limit:
        return before
    now = Place(said_tokens=said, reference_tokens=reference_tokens, model=report.model)
    left = next((place for place in before.places if _grew(place, now)), None)
    ratio = before.ratio if left is None else _ratio_after(before.ratio, left, now)
    rest = said - reference_tokens * ratio // UNIT
    most = _offset_most(window)
    offset = before.offset if rest < 0 else before.offset + _step(min(rest, most) - before.offset, OFFSET_STEP)
    places = (now, *(place for place in before.places if place not in (left, now)))[:PLACES_MAX]
    return structs.replace(before, ratio=ratio, offset=min(offset, most), places=places)


def _offset_most(window: Window) -> int:
    share, of = OFFSET_SHARES
    return window.pre_rot_tokens * share // of


def _input_tokens(report: UsageReported) -> int:
    """Return the whole prompt's size; Anthropic's own figure leaves out what came from the cache."""
    apart = report.cached_tokens > report.input_tokens
    return report.input_tokens + (report.cached_tokens if apart else 0)


def _grew(before: Place, now: Place) -> bool:
    """Return whether the request of *now* can be the one of *before* with what was appended since."""
    grown, said = now.reference_tokens - before.reference_tokens, now.said_tokens - before.said_tokens
    return before.model == now.model and 0 < grown <= said * GROWTH_SHARE_MIN and said * UNIT <= grown * GROWTH_MAX


def _ratio_after(ratio: int, before: Place, now: Place) -> int:
    grown, said = now.reference_tokens - before.reference_tokens, now.said_tokens - before.said_tokens
    sample = min(said * UNIT // grown, RATIO_MAX)
    moved = ratio + _step((sample - ratio) * min(grown, GROWTH_TOKENS), RATIO_STEP * GROWTH_TOKENS)
    return max(UNIT, min(moved, RATIO_MAX))


def _step(distance: int, parts: int) -> int:
    """Return one of *parts* of *distance*, rounded away from nothing where it is less than one token."""
    return distance // parts if distance >= 0 else -(-distance // parts)
