"""The public names as a type checker shows them to a user. Read by basedpyright and mypy, never run."""

from typing import Any, Literal, assert_type

import retold
from retold import tokens


async def with_a_log() -> None:
    """Every step of a session has the type that its documentation gives."""
    async with retold.connect("nats://127.0.0.1:4222") as client:
        assert_type(client, retold.Client)
        session = await client.session("agent-42", tenant="default", window=retold.Window(hard_limit=200_000))
        assert_type(session, retold.Session)
        assert_type(await session.append({"role": "user", "content": "…"}), int)
        assert_type(await session.append_many([{"role": "user", "content": "…"}]), int)
        assert_type(await session.append({"role": "user", "content": "…"}, expected="any"), int)
        many = await client.append_many({"agent-42": [{"role": "user", "content": "…"}]}, expected={"agent-42": 3})
        assert_type(many, dict[str, retold.Appended])
        assert_type(
            await client.append_many([("new", [])], expected="none", window=retold.Window(hard_limit=1)),
            dict[str, retold.Appended],
        )
        assert_type(
            [(end.messages, end.seq, end.error) for end in many.values()],
            list[tuple[int, int, retold.RetoldError | None]],
        )
        assert_type(await session.extend("…"), int)
        history = await session.history()
        assert_type(history, retold.History)
        assert_type(await session.history(at=120), retold.History)
        assert_type(history.items, tuple[retold.Item, ...])
        assert_type(history.tokens, int)
        assert_type(history.version, int)
        assert_type(history.seq, int)
        assert_type(history.as_chat(), list[dict[str, Any]])
        assert_type(history.as_responses(), list[dict[str, Any]])
        assert_type(history.as_anthropic(), list[dict[str, Any]])
        forked = await session.fork("agent-43", at=120)
        assert_type(forked, retold.Session)
        assert_type(await client.fork("agent-42", "agent-44", at="a-tag"), retold.Session)
        assert_type(await session.rewind("a-tag"), int)
        assert_type(await session.undo(), int)
        assert_type(await session.restore("i12"), int)
        done = await session.compress([{"first": "i3", "last": "i17", "messages": "…"}], dry_run=True)
        assert_type(done, retold.Compression)
        assert_type((done.seq, done.blocks[0].block, done.receipt.tokens_after), tuple[int | None, str, int])
        assert_type(await session.decompress("c40", item="i4"), int)
        view = await session.view(style="lazy")
        assert_type(view, retold.HistoryView)
        assert_type((view.status, view.listing(), view.left_tokens, view.nudge), tuple[str, str, int, str | None])
        assert_type(view.as_message("anthropic"), dict[str, Any])
        assert_type(session.tools("responses"), list[dict[str, Any]])
        assert_type(await session.handle_tool_call({}), dict[str, Any])
        assert_type(await session.tag("a-tag", at=120), int)
        assert_type(await session.untag("a-tag"), int)
        assert_type(await session.tags(), dict[str, int])
        found = await session.diff(120, other=forked)
        assert_type(found, retold.Diff)
        assert_type(retold.diff(history, await forked.history()), retold.Diff)
        assert_type([(one.item, one.text, one.seq) for one in found.lost], list[tuple[str, str, int]])
        assert_type(found.compactions[0].receipt.tokens_after, int)
        async with retold.run_worker(client, summarizer="extractive", remote=None) as worker:
            await worker.drain()


def counting_requests(body: dict[str, Any]) -> None:
    """The size of a request says where its tokens are, and how well they are known."""
    size = retold.count_request(body, tools=[], form="chat", model="gpt-5", encoding=tokens.encoding("o200k_base"))
    assert_type(size, retold.RequestSize)
    assert_type((size.tokens, size.lower, size.upper), tuple[int, int, int])
    assert_type(size.label, Literal["exact", "reconstructed", "estimated"])
    assert_type((size.counted.exact, size.system.total, size.tools.estimated), tuple[int, int, int])


def without_a_log(messages: list[dict[str, Any]]) -> None:
    """`compact` gives messages of the form that it was given."""
    result = retold.compact(messages, budget_tokens=8_000, policy="ladder")
    assert_type(result, retold.Compacted)
    assert_type(result.messages, list[dict[str, Any]])
    assert_type(result.tokens, int)
    assert_type(result.restore("i1"), list[dict[str, Any]])
    compressed = retold.compress(messages, [{"first": "i3", "last": "i17", "messages": ["…"]}])
    assert_type(compressed, retold.Compressed)
    assert_type((compressed.messages, compressed.tokens), tuple[list[dict[str, Any]], int])
    assert_type(compressed.decompress("c1"), list[dict[str, Any]])
    assert_type(retold.view(messages, window=retold.Window(hard_limit=1)).nudge, str | None)
    assert_type((retold.guidance("aggressive"), retold.history_tools("chat")), tuple[str, list[dict[str, Any]]])


def counting(text: str) -> None:
    """Counts are numbers; a bounded count may be None."""
    encoding = tokens.encoding("o200k_base")
    assert_type(encoding, tokens.Encoding)
    assert_type(tokens.from_file("tokenizer.json"), tokens.Encoding)
    assert_type(encoding.count(text), int)
    assert_type(encoding.count_batch([text]), list[int])
    assert_type(encoding.encode(text), list[int])
    assert_type(encoding.count_until(text, 10), int | None)
    counter = encoding.counter()
    assert_type(counter, tokens.Counter)
    assert_type(counter.append(text), int)
    assert_type(counter.total, int)
    assert_type(counter.span(0, 1), int)
    assert_type(counter.truncate(0), int)
    assert_type(counter.snapshot(), bytes)


def refusals() -> tuple[type[retold.RetoldError], ...]:
    """Every refusal is a `RetoldError`."""
    return (
        retold.ConflictError,
        retold.CorruptLogError,
        retold.FloorError,
        retold.InputError,
        retold.SchemaError,
        retold.UnavailableError,
    )


def items() -> tuple[retold.Item, ...]:
    """Items are made from the public names alone."""
    return (retold.Message(id="i1", role="user", content=(retold.Text(text="…"),)),)
