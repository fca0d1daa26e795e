"""What is offloaded may be settled before its placeholders are worded; the result is as if they had been."""

import json
from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.settings import law
from tests.laws.stories import Story
from tests.laws.texts import TEXTS

from retold.events import ItemAppended, Message, Reasoning, Text, ToolCall, ToolResult, Window
from retold.fold import Context, Entry, count_item, ledger_of, request_size
from retold.policy import OffloadEntries, OffloadItems, choose, limits_for, replace
from retold.policy.bonds import Bonds
from retold.policy.limits import Limits
from retold.policy.offload import candidates_of, may_be_enough, plan_entries, plan_offload
from retold.policy.placeholders import gain_least, placeholders_of
from retold.tokens import ENCODINGS, encoding

_PIECES = (
    *TEXTS,
    " ".join(f"资料/第{number}章_草稿.md" for number in range(40)),
    " ".join(f"src/part_{number}/main.py:{number}" for number in range(60)),
    json.dumps({f"字段{number}": f"值-{number}-数据" for number in range(60)}),
    json.dumps([{"order_id": f"#W{number * 7919}"} for number in range(60)]),
    json.dumps([{"a": f"{chr(0x1D1C0) * 38}{number}"} for number in range(12)], ensure_ascii=False),
    " ".join(f"ਸ਼੍ਰੀ_{number}/ଶ୍ରୀ~Z" for number in range(60)),
)
_OUTPUTS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4).map("".join)
_TOOLS = st.sampled_from(["read", "搜索", "a" * 60])


@law(150)
@given(_OUTPUTS, _TOOLS, st.sampled_from(sorted(ENCODINGS)))
def test_a_placeholder_frees_at_least_what_is_known_without_wording_it(text: str, tool: str, name: str) -> None:
    """Whatever a tool of mine answers, in whatever script, its placeholder takes no more than was said beforehand."""
    vocabulary = encoding(name)
    item = ToolResult(id="i1234567", call_id="c", content=(Text(text),))
    entry = Entry(item=item, tokens=count_item(item, vocabulary), seq=1)
    (placeholder,) = placeholders_of([entry], [tool], vocabulary)
    assert placeholder.tokens == count_item(placeholder.item, vocabulary)
    assert gain_least(entry, tool) <= max(0, entry.tokens.upper - placeholder.tokens.upper)


def _context(outputs: Sequence[str]) -> Context:
    """Return a session in which a tool gave *outputs*, one after another."""
    story = Story(Window(hard_limit=10_000_000, pre_rot=10_000_000))
    story.write(ItemAppended(item=Message(role="user", content=(Text("Look at all of it."),))))
    for number, output in enumerate(outputs):
        story.write(ItemAppended(item=Reasoning(text=f"Next is {number}.")))
        story.write(ItemAppended(item=ToolCall(call_id=f"c{number}", name="read", arguments=f'{{"n":{number}}}')))
        story.write(ItemAppended(item=ToolResult(call_id=f"c{number}", content=(Text(output),))))
    story.write(ItemAppended(item=Message(role="user", content=(Text("And now?"),))))
    return story.context


def _limits(context: Context, percent: int) -> Limits:
    """Return the sizes for one compaction to so many per cent, that all but the newest tenth leaves for at once."""
    whole = context.tokens.upper
    return structs.replace(limits_for(context), target=max(1, whole * percent // 100), recent=whole // 10)


@law(60)
@given(st.lists(_OUTPUTS, min_size=3, max_size=10), st.integers(1, 100))
def test_entries_that_surely_are_enough_are_offloaded_as_if_worded_first(outputs: list[str], percent: int) -> None:
    """The history that I get is the same, and under its target, whether its placeholders were worded early or late."""
    context = _context(outputs)
    limits, bonds = _limits(context, percent), Bonds(context.entries)
    candidates = candidates_of(context, limits, bonds)
    worded = plan_offload(context, limits, bonds, candidates)
    if worded is not None and worded.tokens_after <= limits.target:
        assert may_be_enough(context, bonds, candidates, size=limits.target)
    sure = plan_entries(context, limits, bonds, candidates)
    assume(sure is not None)
    assert sure is not None
    assert worded is not None
    assert worded.tokens_after <= limits.target
    assert replace(context, sure) == replace(context, worded)


def test_placeholders_are_worded_to_decide_only_where_they_matter() -> None:
    """Far below the target nothing is read to decide; where a few tokens matter, every placeholder is counted first."""
    context = _context([f"{TEXTS[4] * 3} {number}" for number in range(8)])
    far, bonds = _limits(context, 60), Bonds(context.entries)
    assert isinstance(choose(context, far), OffloadEntries)
    worded = plan_offload(context, far, bonds, candidates_of(context, far, bonds))
    assert worded is not None
    near = structs.replace(far, target=worded.tokens_after)
    assert choose(context, near) == structs.replace(worded, target_tokens=near.target)
    assert not isinstance(choose(context, structs.replace(near, target=near.target - 1)), OffloadEntries)


def test_a_reconstructed_vocabulary_is_asked_before_it_is_decided() -> None:
    """Claude's may make a dozen tokens of a character: there a placeholder is worded and counted to decide."""
    context = _context([f"{TEXTS[4] * 3} {number}" for number in range(8)])
    vocabulary = encoding("claude-4.8")
    entries = tuple(structs.replace(entry, tokens=count_item(entry.item, vocabulary)) for entry in context.entries)
    whole = request_size(ledger_of(entries))
    counted = structs.replace(context, encoding="claude-4.8", entries=entries, tokens=whole)
    assert isinstance(choose(counted, _limits(counted, 60)), OffloadItems)


def test_what_would_be_enough_is_not_denied_for_the_sake_of_rounding() -> None:
    """Of many estimated sizes the bound is that of their sum, not the sum of theirs: a target that is met is met."""
    body = next(
        body
        for length in range(1_400, 1_500)
        if count_item(Reasoning(form="responses", body=(body := _sealed(length))), encoding("o200k_base")).estimated % 4
        == 3
    )
    story = Story(Window(hard_limit=10_000_000, pre_rot=10_000_000))
    story.write(ItemAppended(item=Message(role="user", content=(Text("Look."),))))
    for _ in range(60):
        story.write(ItemAppended(item=Reasoning(form="responses", body=body)))
    story.write(ItemAppended(item=Message(role="user", content=(Text("And now?"),))))
    context = story.context
    limits, bonds = structs.replace(limits_for(context), target=1, recent=0), Bonds(context.entries)
    candidates = candidates_of(context, limits, bonds)
    worded = plan_offload(context, limits, bonds, candidates)
    assert worded is not None
    assert may_be_enough(context, bonds, candidates, size=worded.tokens_after)


def _sealed(length: int) -> str:
    return json.dumps({"type": "reasoning", "id": "r", "encrypted_content": "A" * length})
