"""A provider's own compaction: a block that it alone can read, and words for everybody else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, get_args

import msgspec
import pytest
from msgspec import structs
from tests.laws.logs import FailingLog, HandClock, Killed, drained, outcome, write
from tests.laws.stories import KEY
from tests.summarizers.conversations import (
    REQUEST,
    SYSTEM,
    anthropic_client,
    compacted,
    conversation,
    openai_client,
    said,
    story_of,
    text_of,
)
from tests.summarizers.provider import SEALED, Provider, Request, block_of, provider

from retold.events import (
    Fact,
    Form,
    Item,
    ItemAppended,
    ItemPinned,
    Opaque,
    SessionOpened,
    SummaryWritten,
    UsageReported,
    Window,
)
from retold.fold import Entry, History, count_item, history_of, ledger_of, request_size
from retold.formats import split_system
from retold.log import MemoryLog
from retold.model_ports import RemoteCompactor
from retold.policy.bonds import Bonds
from retold.policy.limits import limits_within
from retold.policy.summary import read_summary
from retold.policy.truncate import plan_truncate
from retold.replay import load
from retold.summarizers import ExtractiveSummarizer
from retold.summarizers.anthropic_compaction import AnthropicCompactor
from retold.summarizers.openai_compaction import OpenAICompactor
from retold.tokens import encoding
from retold.wiring import client_of
from retold.worker import Limits, Worker

Way = Literal["endpoint", "trigger", "request", "edit"]

WINDOW = Window(hard_limit=20_000, pre_rot=12_000, reserve=1_000)
OPENED = SessionOpened(window=WINDOW, policy="codex-remote")


@asynccontextmanager
async def _remote(way: Way, fake: Provider, *, model: str = "model-1") -> AsyncGenerator[RemoteCompactor, None]:
    """Give the compactor that asks *fake* in one of the ways."""
    if way in ("endpoint", "trigger"):
        async with openai_client(fake) as openai:
            yield OpenAICompactor(model, openai, way="endpoint" if way == "endpoint" else "trigger")
    else:
        async with anthropic_client(fake) as anthropic:
            yield AnthropicCompactor(model, anthropic, way="request" if way == "request" else "edit")


def _form(way: Way) -> Form:
    return "responses" if way in ("endpoint", "trigger") else "anthropic"


def _blocks(history: History) -> list[Opaque]:
    return [item for item in history.items if isinstance(item, Opaque)]


def _compact(
    way: Way, *script: str, limits: Limits | None = None
) -> tuple[History, list[SummaryWritten], list[Request]]:
    async def run() -> tuple[History, list[SummaryWritten], list[Request]]:
        async with provider(*script) as fake, _remote(way, fake) as remote:
            history, written = await compacted(ExtractiveSummarizer(), remote=remote, opened=OPENED, limits=limits)
            return history, written, fake.requests

    return asyncio.run(run())


async def _life(facts: list[Fact], *workers: tuple[RemoteCompactor | None, int]) -> History:
    """Let each worker bring the session up to date after so many more facts, the last one after all."""
    log, clock, at = MemoryLog(), HandClock(), 0
    for number, (remote, until) in enumerate(workers):
        await write(log, KEY, facts[at:until], clock=clock)
        at = until
        await Worker(log, HandClock(f"worker-{number}"), ExtractiveSummarizer(), remote=remote).drain()
    await outcome(log, KEY)
    return history_of(await load(log, KEY))


def _sent(request: Request) -> list[dict[str, Any]]:
    """Return the items or blocks that the provider was shown."""
    shown = request.body.get("input") or request.body["messages"]
    found: list[dict[str, Any]] = []
    for item in shown:
        content = item.get("content")
        found += [item, *(content if isinstance(content, list) else [])]
    return found


@pytest.mark.parametrize("way", get_args(Way))
def test_the_block_is_kept_byte_for_byte_with_words_beside_it(way: Way) -> None:
    """What the provider sent stays as it was, to the last blank, bound to it and its model, with a readable summary."""
    history, written, requests = _compact(way)
    (block,) = _blocks(history)
    assert block.body == block_of(_form(way))
    assert (block.model, block.provider) == ("model-1", requests[0].headers["host"])
    read = read_summary(block)
    assert read is not None
    assert [(field.name, field.lines) for field in read[1]] == [
        (field.name, field.lines) for field in written[-1].fields if field.lines
    ]
    assert written[-1].item == block
    assert written[-1].summarizer.endswith(":model-1")
    assert (written[-1].input_tokens, written[-1].output_tokens) == (1_000_000, 321)


@pytest.mark.parametrize("way", get_args(Way))
def test_the_block_goes_to_whom_it_is_bound_and_words_to_all_others(way: Way) -> None:
    """Its provider and model are sent the block alone; every other form and model is sent the summary alone."""
    history, _, requests = _compact(way)
    (block,) = _blocks(history)
    form = _form(way)
    bound = [history.as_form(form), history.as_form(form, model="model-1")]
    bound.append(history.as_form(form, model=f"{requests[0].headers['host']}:model-1"))
    for messages in bound:
        text = msgspec.json.encode(messages).decode()
        assert SEALED in text
        assert "<retold-summary" not in text
    others = [history.as_form(form, model="model-2"), history.as_form(form, model="openai:model-1")]
    others += [history.as_form(other) for other in get_args(Form) if other != form]
    for messages in others:
        text = msgspec.json.encode(messages).decode()
        assert SEALED not in text
        assert text.count("<retold-summary") == 1
    size = count_item(block, encoding("o200k_base")).upper
    bare = Opaque(form=block.form, kind=block.kind, body=block.body)
    assert size == max(
        count_item(bare, encoding("o200k_base")).upper,
        count_item(said("user", block.words), encoding("o200k_base")).upper,
    )


@pytest.mark.parametrize("way", ["request", "edit"])
def test_anthropic_s_block_is_the_first_of_the_conversation(way: Way) -> None:
    """Anthropic takes a compaction only as the first block, so what is kept word for word beside it follows."""
    history, _, _ = _compact(way)
    system, messages = split_system(history.as_anthropic())
    assert system == [{"type": "text", "text": SYSTEM}]
    assert messages[0]["role"] == "assistant"
    assert [block["type"] for block in messages[0]["content"]] == ["compaction"]
    kept = [text_of(item) for item in history.items if text_of(item) and not isinstance(item, Opaque)]
    text = msgspec.json.encode(messages[1:]).decode()
    assert all(msgspec.json.encode(one).decode()[1:-1] in text for one in kept if one != SYSTEM)
    assert REQUEST in text


@pytest.mark.parametrize("way", get_args(Way))
def test_the_next_compaction_takes_the_block_in(way: Way) -> None:
    """A second block stands for the first as well: the provider is sent the first, and one is left."""
    history, written, requests = _compact(way)
    assert len(written) > 1, "the conversation is long enough to be compacted twice"
    assert len(_blocks(history)) == 1
    assert [item.get("type") for item in _sent(requests[1])].count("compaction") == 1
    assert not any("<retold-summary" in str(item) for item in _sent(requests[1]))
    assert written[0].item.id in written[1].covers


@pytest.mark.parametrize("way", ["request", "edit"])
def test_anthropic_is_told_of_the_tools_that_were_called(way: Way) -> None:
    """Anthropic refuses calls and results of tools that a request does not define, so each that it is shown is."""
    _, _, requests = _compact(way)
    called = [{block["name"] for block in _sent(request) if block.get("type") == "tool_use"} for request in requests]
    assert any(called)
    for request, names in zip(requests, called, strict=True):
        tools = request.body.get("tools", [])
        assert [tool["name"] for tool in tools] == sorted(names)
        assert all(tool["input_schema"] == {"type": "object"} for tool in tools)
        assert ("tools" in request.body) == bool(names)


@pytest.mark.parametrize("way", get_args(Way))
def test_another_summarizer_goes_on_from_the_words(way: Way) -> None:
    """Without the provider the next summary is built on the block's words, and the block is gone."""
    facts: list[Fact] = [OPENED, *map(ItemAppended, conversation(60))]

    async def run() -> History:
        async with provider() as fake, _remote(way, fake) as remote:
            return await _life(facts, (remote, len(facts) * 2 // 3), (None, len(facts)))

    history = asyncio.run(run())
    assert _blocks(history) == []
    summaries = [found for item in history.items if (found := read_summary(item)) is not None]
    assert len(summaries) == 1
    assert "src/retry_0.py" in str(summaries[0][1])


def _own_block(form: Form) -> Item:
    return Opaque(form=form, kind="compaction", body=block_of(form))


@pytest.mark.parametrize("way", get_args(Way))
def test_a_block_that_an_agent_s_api_made_is_taken_in_by_its_provider_alone(way: Way) -> None:
    """A block without words stays while nobody can read it, and goes where its provider compacts, unless pinned."""
    items = conversation()
    facts: list[Fact] = [OPENED, *map(ItemAppended, [*items[:9], _own_block(_form(way)), *items[9:]])]

    async def run(*script: str, pinned: bool = False) -> list[Opaque]:
        told = [*facts[:11], *([ItemPinned(item="i10")] if pinned else []), *facts[11:]]
        async with provider(*script) as fake, _remote(way, fake) as remote:
            return _blocks(await _life(told, (remote, len(told))))

    (ours,) = asyncio.run(run())
    assert ours.words
    assert [bool(block.words) for block in asyncio.run(run("404"))] == [False]
    assert [bool(block.words) for block in asyncio.run(run(pinned=True))] == [False, True]


_FAULTS = (
    "404",
    "401",
    "500",
    "null",
    "empty",
    "two",
    "none",
    "garbage",
    "other-json",
    "truncated",
    "overflow",
    "reset",
)


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        *((way, fault) for way in ("endpoint", "request") for fault in (*_FAULTS, "hang", "drip")),
        *((way, fault) for way in ("trigger", "edit") for fault in ("404", "null", "two", "none", "truncated")),
    ],
)
def test_a_provider_that_fails_costs_no_history(way: Way, fault: str) -> None:
    """A missing endpoint, an overflow, nothing, two blocks: my session is compacted without, and the event says why."""
    limits = Limits(summary_timeout_s=0.4) if fault in ("hang", "drip") else None
    history, written, _ = _compact(way, fault, limits=limits)
    assert written
    assert _blocks(history) == []
    assert {one.summarizer for one in written} == {"extractive"}
    assert all(one.instead_of.partition(": ")[2] for one in written)
    assert not any("as the script says" in one.instead_of for one in written)


def test_only_sessions_that_want_it_are_compacted_by_a_provider() -> None:
    """A session under another policy is never sent to the provider's compaction."""

    async def run() -> None:
        async with provider() as fake, _remote("endpoint", fake) as remote:
            history, _ = await compacted(ExtractiveSummarizer(), remote=remote)
            assert fake.requests == []
            assert _blocks(history) == []

    asyncio.run(run())


@pytest.mark.parametrize("reported", [True, False])
def test_without_a_model_the_session_s_own_is_asked(*, reported: bool) -> None:
    """A provider that is named without a model compacts for the one that my usage reports name, else for none."""
    usage: list[Fact] = [UsageReported(input_tokens=900, model="model-9")] if reported else []
    facts: list[Fact] = [OPENED, *usage, *map(ItemAppended, conversation())]

    async def run() -> None:
        async with provider() as fake, _remote("endpoint", fake, model="") as remote:
            blocks = _blocks(await _life(facts, (remote, len(facts))))
            assert [block.model for block in blocks] == (["model-9"] if reported else [])
            assert {request.body["model"] for request in fake.requests} == ({"model-9"} if reported else set())

    asyncio.run(run())


def test_a_block_that_is_too_large_is_told_in_words_before_it_leaves() -> None:
    """Where truncation is all that helps, a provider's block becomes its words, and these lose their middle."""
    context = story_of(conversation(2))
    words = "<retold-summary> " + "What was done. " * 600 + "</retold-summary>"
    block = Opaque(form="responses", kind="compaction", body=block_of("responses"), id="s1", model="m", words=words)
    entry = Entry(item=block, tokens=count_item(block, encoding("o200k_base")), seq=1, form="summary")
    entries = (context.entries[0], entry, *context.entries[1:])
    size = request_size(ledger_of(entries))
    held = structs.replace(context, entries=entries, tokens=size)
    decision = plan_truncate(held, limits_within(size.upper - entry.tokens.upper // 2), Bonds(entries))
    (put,) = decision.cut
    assert put.item.id == "s1"
    assert text_of(put.item).startswith("<retold-summary>")
    assert text_of(put.item).endswith("</retold-summary>")
    assert decision.dropped == ()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_worker_that_dies_around_a_provider_s_answer_leaves_no_half(at: int, *, after: bool) -> None:
    """Killed before or after any write, a worker leaves a session that the next one brings to one proven block."""

    async def run() -> None:
        log = MemoryLog()
        await write(log, KEY, [OPENED, *map(ItemAppended, conversation())], clock=HandClock())
        failing = FailingLog(log, at=at, after=after, error=Killed())
        async with provider() as fake, _remote("endpoint", fake) as remote:
            assert not await drained(Worker(failing, HandClock("dies"), ExtractiveSummarizer(), remote=remote))
            await Worker(log, HandClock("next"), ExtractiveSummarizer(), remote=remote).drain()
        await outcome(log, KEY)
        assert len(_blocks(history_of(await load(log, KEY)))) == 1

    asyncio.run(run())


def test_a_provider_s_compaction_is_undone_and_rewound_as_any_other() -> None:
    """Undo gives my messages back byte for byte, and a rewind behind the block brings it back."""

    async def run() -> None:
        log = MemoryLog()
        await write(log, KEY, [OPENED, *map(ItemAppended, conversation())], clock=HandClock())
        before = await load(log, KEY)
        async with provider() as fake, _remote("endpoint", fake) as remote:
            await Worker(log, HandClock("worker"), ExtractiveSummarizer(), remote=remote).drain()
        compacted_at = await load(log, KEY)
        (block,) = _blocks(history_of(compacted_at))
        session = await client_of(log).session(KEY.session, tenant=KEY.tenant)
        while (await load(log, KEY)).compacted_seq:
            await session.undo()
        assert history_of(await load(log, KEY)).items == history_of(before).items
        await session.rewind(compacted_at.seq)
        assert _blocks(history_of(await load(log, KEY))) == [block]
        await outcome(log, KEY)

    asyncio.run(run())
