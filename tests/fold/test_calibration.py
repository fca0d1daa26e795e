"""Calibration: what a provider says it took moves the sizes that decisions are made on, within bounds, never below."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.settings import law
from tests.laws.stories import KEY, Move, Story, long_story, whole_stories
from tests.laws.texts import TEXTS

from retold.errors import CorruptLogError
from retold.events import (
    CompactionFailed,
    HistoryEdited,
    ItemExtended,
    Message,
    Opaque,
    SessionErased,
    SessionRewound,
    Text,
    UsageReported,
    Window,
)
from retold.fold import UNTAUGHT, Calibration, decode_context, encode_context, fold
from retold.fold.calibration import OFFSET_SHARES, RATIO_MAX, UNIT, is_reply, learn
from retold.policy import carry_out, decide, limits_of, plan_id

WINDOW = Window(hard_limit=200_000)
MOST = WINDOW.pre_rot_tokens * OFFSET_SHARES[0] // OFFSET_SHARES[1]
FIGURES = st.integers(0, 10**12) | st.integers(0, 200_000)


def _report(tokens: int) -> UsageReported:
    return UsageReported(input_tokens=tokens)


def _learn(before: Calibration, *, said: int, reference: int) -> Calibration:
    return learn(before, _report(said), reference_tokens=reference, window=WINDOW)


def _taught(*, ratio: int, offset: int, steps: int = 20, growth: int = 3_000) -> Calibration:
    """Return what *steps* true reports of a provider teach that takes ``offset + ratio`` thousandths of our count."""
    calibration = UNTAUGHT
    for size in range(500, 500 + steps * growth, growth):
        calibration = _learn(calibration, said=offset + size * ratio // UNIT, reference=size)
    return calibration


@law(300)
@given(st.lists(st.tuples(FIGURES, st.integers(0, 10**7)), max_size=30))
def test_whatever_is_reported_the_averages_stay_within_their_bounds(reports: list[tuple[int, int]]) -> None:
    """No report, true or not, makes my history count for less than it holds, or leaves it no room at all."""
    calibration = UNTAUGHT
    for said, reference in reports:
        calibration = _learn(calibration, said=said, reference=reference)
        assert UNIT <= calibration.ratio <= RATIO_MAX
        assert 0 <= calibration.offset <= MOST
    limits = limits_of(WINDOW, calibration)
    plain = limits_of(WINDOW)
    assert plain.target * UNIT // (3 * RATIO_MAX) <= limits.target < limits.offload_at < limits.ceiling
    assert all(getattr(limits, name) <= getattr(plain, name) for name in plain.__struct_fields__[1:])


@law(300)
@given(st.integers(UNIT, RATIO_MAX), st.integers(0, MOST), st.integers(0, 10**7))
def test_a_limit_is_the_largest_history_that_is_charged_for_at_most_as_much(ratio: int, offset: int, size: int) -> None:
    """A history that fits by the limit fits by the provider's count, and one token more does not."""
    calibration = Calibration(ratio=ratio, offset=offset)
    fits = calibration.counted(size)
    assert calibration.charged(size) >= size
    if fits:
        assert calibration.charged(fits) <= size < calibration.charged(fits + 1)
    else:
        assert calibration.charged(1) > size


@pytest.mark.parametrize("said", [0, 200_001, 10**12])
def test_a_report_that_no_provider_can_have_made_changes_nothing(said: int) -> None:
    """Nothing charged, or more than the model accepts, is no measure of my history."""
    taught = _taught(ratio=1_400, offset=15_000)
    assert _learn(taught, said=said, reference=70_000) == taught
    assert _learn(UNTAUGHT, said=said, reference=70_000) == UNTAUGHT


@law(200)
@given(st.integers(1, 200_000))
def test_one_absurd_report_moves_the_averages_by_a_step_and_honest_ones_heal_it(said: int) -> None:
    """A single wrong figure costs at most a step; six true ones later it is as good as forgotten."""
    taught = _taught(ratio=1_400, offset=15_000)
    fooled = _learn(taught, said=said, reference=63_000)
    assert abs(fooled.ratio - taught.ratio) <= (RATIO_MAX - UNIT) // 4 + 1
    assert abs(fooled.offset - taught.offset) <= MOST // 2 + 1
    healed = fooled
    for size in range(66_000, 90_000, 4_000):
        healed = _learn(healed, said=15_000 + size * 1_400 // UNIT, reference=size)
    assert abs(healed.charged(90_000) - 141_000) < 141_000 // 33


@law(100)
@given(st.integers(1_000, 2_200), st.integers(0, 45_000), st.integers(500, 5_000))
def test_what_a_true_provider_takes_is_learnt(ratio: int, offset: int, growth: int) -> None:
    """After twenty requests my history's size is the provider's to within 5%, whatever its vocabulary and tools."""
    taught = _taught(ratio=ratio, offset=offset, growth=growth)
    size = 500 + 20 * growth
    true = offset + size * ratio // UNIT
    assert abs(taught.charged(size) - true) <= true // 20


def test_a_compaction_that_the_agent_took_up_does_not_disturb_what_was_learnt() -> None:
    """After a compaction requests are smaller, without a word about the provider; growth goes on teaching."""
    taught = _taught(ratio=1_400, offset=15_000)
    after = taught
    for step in range(1, 20):
        size = 60_000 + step * 3_000  # as if nothing had been compacted; the agent sends 40,000 less
        after = _learn(after, said=15_000 + (size - 40_000) * 1_400 // UNIT, reference=size)
    assert after.offset == taught.offset
    assert abs(after.ratio - 1_400) <= 25


def test_a_history_counted_too_large_is_not_counted_smaller() -> None:
    """A provider that takes less than we count, for it drops old reasoning, changes nothing: that bound is safe."""
    assert _taught(ratio=800, offset=0).charged(50_000) == 50_000


def test_another_model_s_report_teaches_no_ratio() -> None:
    """When I switch to a model with another vocabulary, the jump is not taken for growth."""
    taught = _taught(ratio=UNIT, offset=0)
    other = UsageReported(input_tokens=64_500, model="another")
    moved = learn(taught, other, reference_tokens=62_000, window=WINDOW)
    assert moved.ratio == taught.ratio


@law(100)
@given(st.integers(1_000, 2_200), st.integers(0, 45_000), st.integers(1, 3_000), st.integers(1, 4))
def test_requests_beside_the_conversation_teach_nothing(ratio: int, offset: int, aside: int, every: int) -> None:
    """When my agent also reports what a title or a check took, my history is compacted when it would be anyway."""
    alone = mixed = UNTAUGHT
    for step, size in enumerate(range(2_000, 62_000, 3_000)):
        said = offset + size * ratio // UNIT
        alone, mixed = (_learn(known, said=said, reference=size) for known in (alone, mixed))
        if step % every == 0:
            mixed = _learn(mixed, said=aside, reference=size)
    due, beside = (limits_of(WINDOW, known).offload_at for known in (alone, mixed))
    assert abs(due - beside) <= due // 10


def test_two_models_by_turns_are_each_learnt_by_their_own_growth() -> None:
    """A small model that answers between the large one's turns does not hide the large one's ratio."""
    calibration = UNTAUGHT
    for size in range(2_000, 62_000, 3_000):
        for model, said in (("large", 15_000 + size * 1_400 // UNIT), ("small", 900)):
            report = UsageReported(input_tokens=said, model=model)
            calibration = learn(calibration, report, reference_tokens=size, window=WINDOW)
    assert abs(calibration.ratio - 1_400) <= 25


def test_figures_that_name_the_cache_apart_are_added_up() -> None:
    """Anthropic's own input figure leaves out what was read from the cache; it is the same prompt."""
    apart = UsageReported(input_tokens=40, cached_tokens=30_000)
    both = UsageReported(input_tokens=30_040, cached_tokens=30_000)
    one, other = (learn(UNTAUGHT, usage, reference_tokens=20_000, window=WINDOW) for usage in (apart, both))
    assert one == other


# ---- in a session -------------------------------------------------------------------------------------------------


def _session(*, window: Window = WINDOW) -> Story:
    story = Story(window)
    story.say("system", TEXTS[1])
    story.say("user", TEXTS[2])
    return story


def test_a_report_stands_for_what_was_sent_whether_it_comes_before_the_reply_or_after() -> None:
    """I may report usage as soon as I have it, or after I appended the reply: it is the same request."""
    early, late = _session(), _session()
    early.write(_report(5_000))
    early.say("assistant", TEXTS[3])
    late.say("assistant", TEXTS[3])
    late.write(_report(5_000))
    assert early.context.calibration == late.context.calibration
    assert early.context.calibration.places[0].said_tokens == 5_000


def test_streamed_text_of_a_reply_is_no_part_of_its_request() -> None:
    """A reply that came in pieces is left out whole, too."""
    whole, streamed = _session(), _session()
    whole.say("assistant", "one two three")
    streamed.say("assistant", "one")
    streamed.write(ItemExtended(text=" two"), ItemExtended(text=" three"))
    for story in (whole, streamed):
        story.write(_report(5_000))
    assert whole.context.calibration == streamed.context.calibration


def test_results_of_hosted_tools_are_no_reply() -> None:
    """What a tool of the provider's put into the input was in the request."""
    assert is_reply(Opaque(form="responses", kind="web_search_call", body="{}"))
    assert not is_reply(Opaque(form="responses", kind="local_shell_call_output", body="{}"))


@law(60)
@given(whole_stories())
def test_the_averages_survive_an_edit_and_a_rewind_and_end_with_an_erasure(story: Story) -> None:
    """What was learnt of the provider holds after I changed the history; the place it was learnt at does not."""
    learnt = Calibration(ratio=story.context.calibration.ratio, offset=story.context.calibration.offset)
    edited, rewound, erased = (story.fork(len(story.events)) for _ in range(3))
    edited.write(HistoryEdited(items=(Message(role="user", content=(Text("new"),)),)))
    rewound.write(SessionRewound(to_seq=1))
    erased.write(SessionErased(by="owner"))
    assert edited.context.calibration == rewound.context.calibration == learnt
    assert erased.context.calibration == UNTAUGHT


def test_a_history_that_the_provider_counts_as_too_large_is_compacted_although_ours_is_small() -> None:
    """My Claude session is compacted when Claude's count says so, not when another vocabulary's does."""
    window = Window(hard_limit=20_000, pre_rot=15_000)
    story = Story(window).tell(long_story(3, length=60, verbs=("user", "say", "call", "result")))
    plain = story.context
    counted = plain.tokens.total
    assert decide(plain, structs.replace(window, pre_rot=counted * 2, hard_limit=counted * 3)) is None
    roomy = structs.replace(window, pre_rot=counted * 2, hard_limit=counted * 3)
    told = structs.replace(plain, window=roomy, calibration=Calibration(ratio=1_500, offset=counted // 3))
    decision = decide(told, roomy)
    assert decision is not None
    limits = limits_of(roomy, told.calibration)
    receipt = carry_out(told, limits).replaced.receipt
    assert told.calibration.charged(receipt.tokens_after) <= limits_of(roomy).target
    assert receipt.tokens_before == plain.tokens.upper


def test_a_calibrated_try_is_judged_by_the_size_that_was_due() -> None:
    """A compaction that the provider's count made due, and that freed little, counts towards stopping the loop."""
    story = Story(Window(hard_limit=40_000, pre_rot=30_000)).tell(long_story(5, length=40, verbs=("user", "say")))
    size = story.context.tokens.upper
    calibration = Calibration(ratio=RATIO_MAX, offset=12_000)
    due = limits_of(story.context.window, calibration).offload_at
    assert due < size < limits_of(story.context.window).offload_at
    told = structs.replace(story.context, calibration=calibration)
    assert carry_out(told, limits_of(told.window, calibration)).replaced.due_tokens == due
    for due_tokens, ineffective in ((0, 0), (due, 1), (due, 2)):
        base = story.context
        story.write(
            CompactionFailed(plan=plan_id(base), base_seq=base.seq, reason="no", due_tokens=due_tokens),
        )
        assert story.context.ineffective == ineffective


def test_a_snapshot_of_the_schema_before_is_passed_over() -> None:
    """After an upgrade my session is folded from its events, for an old snapshot knows nothing of calibration."""
    story = Story().tell([Move("user", 2), Move("usage", 9), Move("say", 3)])
    body = encode_context(story.context)
    assert decode_context(body, key=KEY) == story.context == fold(story.events)
    for other in (msgspec.json.encode(story.context), body.replace(b'"schema":4', b'"schema":3', 1)):
        with pytest.raises(CorruptLogError):
            decode_context(other, key=KEY)
