"""What does the guard cost: looking through 32 KB, and a summary of a long history with it and without?

Reads ``../shared/data``. Processor time, medians of rounds in turns; the sessions' texts are one after the other until
they have so many tokens. ``--json``: the same as JSON.
"""

import base64
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import retold
from retold.events import Item, ItemAppended, Message, SummaryField, Text, ToolResult, plain_text
from retold.formats import Happened, read_transcript, split_lines
from retold.policy import SummarizeSpan, Summary, choose, extract_for, replace
from retold.policy import replacement as guarded_by
from retold.policy.compacting import list_context
from retold.policy.guarding import Guarded
from retold.policy.limits import limits_within
from retold.policy.presets import preset_of
from retold.screening import Guard, sound
from retold.security.rules import ORDERS
from retold.summarizers.prompt import INSTRUCTIONS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEXT_BYTES = 32 * 1024
TOKENS = 680_000
BUDGET_TOKENS = 200_000
ROUNDS = 5
GROWN_TURNS = 400
GROWN_BUDGET = 8_000


def main() -> None:
    """Measure all three, and print."""
    gc.disable()
    found: dict[str, Any] = {"gate": gate(), "summary": {}, "grown": grown()}
    for name, items in (("chat", chat()), ("agents", agents())):
        found["summary"][name] = summary(items)
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
        return
    for part, rows in found.items():
        for name, figures in rows.items():
            print(f"{part:8} {name:12} " + ", ".join(f"{what} {figure}" for what, figure in figures.items()))


def gate() -> dict[str, dict[str, float]]:
    """Return the milliseconds that 32 KB of each kind of text take."""
    guard = Guard(ORDERS, [INSTRUCTIONS])
    rows = {}
    for name, text in texts().items():
        shown = text.encode()[:TEXT_BYTES].decode(errors="ignore")
        orders, leaks = partial(guard.orders, shown), partial(guard.leaks, shown, ["0123456789abcdef"])
        rows[name] = {"orders_ms": _milliseconds(orders), "leaks_ms": _milliseconds(leaks)}
    return rows


def texts() -> dict[str, str]:
    """Return a text of each kind, longer than is looked at."""
    chance = random.Random(7)
    prose = "\n".join(said(item) for item in chat(tokens=30_000))
    tools = "\n".join(said(item) for item in agents(tokens=60_000) if said(item).startswith("Step "))
    words = [
        "支付",
        "服务",
        "重试",
        "测试",
        "银行",
        "数据",
        "构建",
        "失败",
        "请求",
        "配置",
        "更新",
        "用户",
        "错误",
        "文件",
    ]
    russian = ["платёж", "повтор", "сервис", "ошибка", "сборка", "файл", "данные", "запрос", "банк", "который", "не"]
    return {
        "English": prose,
        "tools": tools,
        "Chinese": "\uff0c".join("".join(chance.choices(words, k=6)) for _ in range(3_000)),
        "Russian": " ".join(chance.choices(russian, k=6_000)),
        "accents": prose.translate(str.maketrans("aeiou", "àéîõü")),
        "mixed": "".join(f"{line[:60]} — ✓ “{chance.choice(words)}” · " for line in prose.splitlines() * 20),
        "base64": base64.b64encode(chance.randbytes(TEXT_BYTES)).decode(),
    }


def summary(items: Sequence[Item]) -> dict[str, float]:
    """Return the seconds of a summary of *items*: extracted, or a model's, without the guard and with it."""
    context = list_context(list(items), BUDGET_TOKENS, "o200k_base")
    decision = choose(context, limits_within(BUDGET_TOKENS, preset_of("codex", None)), without=["offload"])
    assert isinstance(decision, SummarizeSpan)
    extracted = extract_for(context, decision)
    lines = tuple(dict.fromkeys(line for item in items[::97] for line in said(item).splitlines()[:3] if line.strip()))
    written = Summary(
        (SummaryField("facts", tuple(line[:200] for line in lines[:100])), *extracted.fields[:4]), "model"
    )
    ways: dict[str, Callable[[], object]] = {
        "extract_s": lambda: extract_for(context, decision),
        "plain_s": lambda: _unguarded(lambda: replace(context, decision, summary=extracted)),
        "guarded_s": lambda: replace(context, decision, summary=extracted),
        "model_plain_s": lambda: _unguarded(lambda: replace(context, decision, summary=written)),
        "model_guarded_s": lambda: replace(context, decision, summary=written),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            spent[name].append(_seconds(way))
    median = {name: statistics.median(times) for name, times in spent.items()}
    without = median["extract_s"] + median["plain_s"]
    median["more_percent"] = 100 * (median["guarded_s"] - median["plain_s"]) / without
    median["model_more_percent"] = 100 * (median["model_guarded_s"] - median["model_plain_s"]) / without
    return {"tokens": context.tokens.upper, **{name: round(figure, 3) for name, figure in median.items()}}


def grown() -> dict[str, dict[str, float]]:
    """Return the seconds of a session that grows and is compacted again and again, without the guard and with it."""
    items = agents(tokens=GROWN_TURNS * 400)
    messages = [
        {"role": "user" if at % 4 == 0 else "assistant", "content": said(item)[:2_000]} for at, item in enumerate(items)
    ]
    spent: dict[str, list[float]] = {"plain_s": [], "guarded_s": []}
    count = 0
    for _ in range(3):
        spent["plain_s"].append(_seconds(lambda: _unguarded(lambda: _grow(messages))))
        begun = time.process_time()
        count = _grow(messages)
        spent["guarded_s"].append(time.process_time() - begun)
    median = {name: round(statistics.median(times), 3) for name, times in spent.items()}
    return {"session": {"compactions": count, **median}}


def _grow(messages: Sequence[dict[str, str]]) -> int:
    history: list[Any] = []
    compactions = 0
    for message in messages:
        history.append(message)
        if len(history) % 20 == 0:
            done = retold.compact(history, budget_tokens=GROWN_BUDGET, policy="codex")
            compactions += done.tier == "summary"
            history = list(done.messages)
    return compactions


def chat(tokens: int = TOKENS) -> list[Item]:
    """Return a chat of so many tokens: the one that is recorded, again and again."""
    batches = [batch for path in sorted((DATA / "beam").rglob("chat.json")) for batch in json.loads(path.read_bytes())]
    spoken = [message for batch in batches for turn in batch["turns"] for message in turn]
    return _up_to([Message(role=one["role"], content=(Text(one["content"]),)) for one in spoken], tokens)


def agents(tokens: int = TOKENS) -> list[Item]:
    """Return what agents did, one recorded session after the other."""
    return _up_to(_read(sorted(path for path in DATA.rglob("*.jsonl") if path.is_file())), tokens)


def said(item: Item) -> str:
    """Return what *item* says."""
    return sound(plain_text(item.content)) if isinstance(item, Message | ToolResult) else ""


def _up_to(items: Sequence[Item], tokens: int) -> list[Item]:
    chosen: list[Item] = []
    size = 0
    while items and size < tokens:
        for item in items:
            size += len(said(item)) // 4
            if isinstance(item, Message | ToolResult) and said(item):
                role = item.role if isinstance(item, Message) else None
                chosen.append(item if role != "system" else Message(role="user", content=(Text(said(item)),)))
            if size >= tokens:
                break
    return [_paired(item, at) for at, item in enumerate(chosen)]


def _paired(item: Item, at: int) -> Item:
    # A result without its call is no history: what a tool said stands as the assistant's own words.
    return (
        Message(role="assistant", content=(Text(f"Step {at}: {said(item)}"),)) if isinstance(item, ToolResult) else item
    )


def _read(paths: Sequence[Path]) -> list[Item]:
    found: list[Item] = []
    for path in paths:
        for one in read_transcript(split_lines([path.read_bytes()]), name=path.name):
            found += [one.fact.item] if isinstance(one, Happened) and isinstance(one.fact, ItemAppended) else []
    return found


def _unguarded(way: Callable[[], object]) -> object:
    with patch.object(guarded_by, "guard_fields", lambda fields, *_, **__: Guarded(tuple(fields), ())):
        return way()


def _milliseconds(way: Callable[[], object]) -> float:
    way()
    return round(statistics.median(_seconds(way) for _ in range(9)) * 1_000, 2)


def _seconds(way: Callable[[], object]) -> float:
    begun = time.process_time()
    way()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
