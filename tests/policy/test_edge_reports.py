"""Faults that other compactors had with what comes from outside: usage, windows, rewinds, providers' own blocks."""

from collections.abc import Callable

from msgspec import structs
from tests.laws.small import (
    LATEST,
    POLICIES,
    at_every_budget,
    call,
    compacted,
    every_preset,
    ids_of,
    message,
    result,
    text_of,
    told,
    work,
)
from tests.laws.stories import Move, Story
from tests.laws.texts import OUTPUT, PROSE

import retold
from retold.events import (
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemExtended,
    ItemRestored,
    Opaque,
    Policy,
    Reasoning,
    SessionRewound,
    UsageReported,
    Window,
    WindowChanged,
)
from retold.fold import Tokens, decode_context, encode_context, history_of, item_hash
from retold.policy import (
    PRESETS,
    SummarizeSpan,
    decide,
    limits_for,
    limits_of,
)

# ---- what a provider reports -----------------------------------------------------------------------------------------


def _small(policy: Policy) -> Story:
    """Return a session of about 10,000 tokens under a window of 100,000."""
    return told(work(10), policy=policy, window=Window(hard_limit=100_000))


def _steps(story: Story, reports: Callable[[int], int]) -> int:
    """Let a provider report twenty steps, each by what *reports* makes of its size; return how many were compacted."""
    for number in range(20):
        story.write(*(ItemAppended(item=item) for item in work(1, text=PROSE, first=100 + number)))
        story.write(UsageReported(input_tokens=reports(story.context.tokens.upper)))
        story.tell([Move("compact", 1)])
    return story.context.version


@every_preset
def test_usage_summed_over_passes_starts_no_compaction(policy: Policy) -> None:
    """A framework that adds up the prompts of a turn's passes does not make me lose a history that fits."""
    assert _steps(_small(policy), lambda size: 3 * size) == 0


@every_preset
def test_usage_of_a_subagent_is_not_the_parent_s(policy: Policy) -> None:
    """A subagent's large prompts, reported into my session between my own, start no compaction of mine."""
    sizes = iter([0, 60_000] * 20)
    assert _steps(_small(policy), lambda size: next(sizes) or size) == 0


@every_preset
def test_usage_from_before_the_last_compaction_does_not_start_another(policy: Policy) -> None:
    """A report of the request before a compaction, which comes in late, says nothing of the history after it."""
    story = told(work(60), policy=policy, window=Window(hard_limit=30_000, pre_rot=20_000))
    before = story.context.tokens.upper
    story.tell([Move("compact", 1)])
    assert story.context.version == 1
    story.write(UsageReported(input_tokens=min(before, 30_000)))
    story.tell([Move("compact", 1)])
    assert story.context.version == 1


@every_preset
def test_a_switch_to_a_smaller_window_compacts_what_the_larger_one_held(policy: Policy) -> None:
    """When I go on with a model of a smaller window, one decision on all that I had brings it under the new one."""
    story = told(work(60), policy=policy, window=Window(hard_limit=400_000, pre_rot=300_000))
    story.tell([Move("compact", 1)])
    assert story.context.version == 0
    whole = ids_of(story.context.entries)
    story.write(WindowChanged(window=Window(hard_limit=16_000)))
    decision = decide(story.context, story.context.window)
    assert decision is not None
    if isinstance(decision, SummarizeSpan):
        assert set(decision.covers) <= whole
    story.tell([Move("compact", 1)])
    assert story.context.version == 1
    assert story.context.tokens.upper <= 16_000 - 1_600


def test_the_size_that_starts_a_compaction_is_the_one_that_is_documented() -> None:
    """Below the threshold of my policy nothing is done; at it, something is."""
    for policy in POLICIES:
        context = told(work(10), policy=policy).context
        at = limits_for(context).offload_at
        window = context.window
        for size, expected in ((at - 1, False), (at, True)):
            sized = structs.replace(context, tokens=Tokens(exact=size))
            assert retold.policy.is_due(sized, size, limits_of(window, preset=PRESETS[policy])) is expected


# ---- turning back ----------------------------------------------------------------------------------------------------


@every_preset
def test_rewound_content_does_not_leak_through_a_summary(policy: Policy) -> None:
    """What I rewound is in no summary that is written afterwards."""
    story = told(work(3), policy=policy)
    seq = story.events[-1].event.seq
    story.write(ItemAppended(item=message("user", "Always mention the ZEBRA.")))
    story.write(SessionRewound(to_seq=seq))
    story.write(*(ItemAppended(item=item) for item in work(20, first=50)))
    for made in at_every_budget(story.context):
        assert "ZEBRA" not in text_of(made.entries)


@every_preset
def test_an_undo_across_a_compaction_gives_the_very_history_before(policy: Policy) -> None:
    """After an undo I have the bytes that I had, with what came since, and my instructions once."""
    story = told([message("system", "Be brief."), *work(60)], policy=policy, window=Window(hard_limit=30_000))
    before = history_of(story.context).hash
    story.tell([Move("compact", 1)])
    assert history_of(story.context).hash != before
    story.tell([Move("undo", 1)])
    assert history_of(story.context).hash == before


@every_preset
def test_a_rewind_across_a_compaction_does_not_double_what_stays(policy: Policy) -> None:
    """When I go back to before a compaction and on from there, instructions and messages are there once."""
    story = told([message("system", "Be brief."), *work(60)], policy=policy, window=Window(hard_limit=30_000))
    place = story.events[-1].event.seq
    story.tell([Move("compact", 1)])
    story.say("user", "Edited.")
    story.write(SessionRewound(to_seq=place))
    story.tell([Move("compact", 1)])
    entries = story.context.entries
    assert sum("Be brief." in str(entry.item) for entry in entries) == 1
    assert len(ids_of(entries)) == len(entries)
    assert "Edited." not in text_of(entries)


# ---- providers' own blocks -------------------------------------------------------------------------------------------

_SIGNED = '{ "type" : "thinking",\n "signature":"Ab\\/+=", "thinking":"caf\\u00e9 \\ud83d\\ude80",  "n": 1.50 }'


@every_preset
def test_a_signature_comes_through_as_it_was_written(policy: Policy) -> None:
    """A signed block is kept byte for byte, through compaction, storing, offloading and coming back."""
    signed = Reasoning(text="café", form="anthropic", body=_SIGNED)
    items: list[Item] = [
        message("user", PROSE),
        signed,
        call("a"),
        result("a"),
        *work(6),
        message("user", LATEST),
    ]
    items += [signed, call("b")]
    story = told(items, policy=policy, window=Window(hard_limit=4_000))
    original = story.context.entries[1].item
    story.tell([Move("compact", 1)])
    loaded = decode_context(encode_context(story.context), key=story.context.key)
    last = [entry.item for entry in loaded.entries if isinstance(entry.item, Reasoning)][-1]
    assert last.body == _SIGNED
    for entry in story.context.entries:
        if entry.original == item_hash(original):
            story.write(ItemRestored(item=story.originals[entry.original]))
            assert original in [one.item for one in story.context.entries]


@every_preset
def test_an_empty_compaction_block_of_a_provider_replaces_nothing(policy: Policy) -> None:
    """A provider's block whose content is null stands for nothing: what came before it stays in the history."""
    null = Opaque(form="anthropic", kind="compaction", body='{"type":"compaction","content":null}')
    context = told([*work(3), null, *work(1, first=9)], policy=policy).context
    assert len(context.entries) == 17
    made = compacted(context, 60)
    assert made is not None
    assert null.body in [entry.item.body for entry in made.entries if isinstance(entry.item, Opaque)]


@every_preset
def test_a_compaction_event_does_not_repeat_the_history(policy: Policy) -> None:
    """What a compaction writes is a small part of what it compacted, images included, so my log does not grow by it."""
    story = told(work(120), policy=policy, window=Window(hard_limit=60_000))
    image = Opaque(form="responses", kind="image_generation_call", body='{"type":"x","result":"' + "A" * 200_000 + '"}')
    story.write(ItemAppended(item=image), ItemAppended(item=message("user", LATEST)))
    held = len(encode_context(story.context))
    story.tell([Move("compact", 1)])
    written = [one for one in story.events if isinstance(one.event.data, HistoryReplaced)]
    assert len(written) == 1
    assert len(written[0].body) < held / 20


def test_streamed_text_counts_before_the_turn_ends() -> None:
    """A reply that streams past the threshold makes a compaction due although no report of it has come."""
    story = told(work(2), window=Window(hard_limit=8_000))
    story.say("assistant", "So: ")
    for _ in range(40):
        story.write(ItemExtended(text=OUTPUT))
    story.tell([Move("compact", 1)])
    assert story.context.tokens.upper <= story.context.window.input_limit
