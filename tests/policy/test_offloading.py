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
from retold.fold import Context, Entry, count_item
from retold.policy import OffloadEntries, choose, limits_for, replace
from retold.policy.bonds import Bonds
from retold.policy.limits import Limits
from retold.policy.offload import candidates_of, may_be_enough, plan_entries, plan_offload
from retold.policy.placeholders import gain_least, placeholders_of
from retold.tokens import ENCODINGS, RECONSTRUCTIONS, encoding

_PIECES = (
    *TEXTS,
    " ".join(f"资料/第{number}章_草稿.md" for number in range(40)),
    " ".join(f"src/part_{number}/main.py:{number}" for number in range(60)),
    json.dumps({f"字段{number}": f"值-{number}-数据" for number in range(60)}),
    json.dumps([{"order_id": f"#W{number * 7919}"} for number in range(60)]),
)
_OUTPUTS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=4).map("".join)
_TOOLS = st.sampled_from(["read", "搜索", "a" * 60])


@law(150)
@given(_OUTPUTS, _TOOLS, st.sampled_from(sorted({*ENCODINGS, *RECONSTRUCTIONS})))
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
