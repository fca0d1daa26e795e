"""What keeps a conversation within a budget: Retold's presets, and two rules that many agents go by.

A preset is a row: whatever `Policy` names takes part. All are given messages in chat form, and counted alike.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, get_args

from msgspec import Struct

from retold.errors import FloorError
from retold.events import Item, Opaque, Policy, Reasoning, ToolCall, plain_text
from retold.fold import PRIMING, count_item
from retold.formats import to_items
from retold.policy import compact
from retold.tokens import encoding

Message: TypeAlias = dict[str, Any]
Recall: TypeAlias = Callable[[str], list[Message]]

ENCODING: Final = "o200k_base"
KEEP_TAIL: Final = "keep-the-tail"
USER_FIRST: Final = "user-first"


class Kept(Struct, frozen=True, kw_only=True):
    """Hold what a strategy leaves of a conversation.

    Attributes:
        recall: gives the original of an item that the messages name; None where a strategy has no such thing.
    """

    messages: list[Message]
    recall: Recall | None = None


Strategy: TypeAlias = Callable[[Sequence[Message], int], Kept | None]
"""Gives what is left of messages within so many tokens; None if what it may not touch is larger."""


def strategies(only: Iterable[str] = ()) -> dict[str, Strategy]:
    """Return every strategy by name, or those that are named."""
    presets = {name: partial(_by_preset, policy=name) for name in get_args(Policy)}
    every: dict[str, Strategy] = {KEEP_TAIL: keep_tail, USER_FIRST: user_first, **presets}
    wanted = set(only)
    return {name: strategy for name, strategy in every.items() if not wanted or name in wanted}


def keep_tail(messages: Sequence[Message], budget_tokens: int) -> Kept | None:
    """Keep system text and the newest messages that fit, calls with their results."""
    return _kept(messages, budget_tokens, first=())


def user_first(messages: Sequence[Message], budget_tokens: int) -> Kept | None:
    """Keep system text, then what the user said, newest first, then the newest of the rest."""
    return _kept(messages, budget_tokens, first=("user",))


def size_of(messages: Iterable[Message]) -> int:
    """Return what *messages* take as one request, in tokens."""
    counted = encoding(ENCODING)
    return PRIMING + sum(count_item(item, counted).upper for message in messages for item in _items(message))


def text_of(message: Message) -> str:
    """Return all that a model reads of one message: its text, and the names and arguments of its calls."""
    return "\n".join(_text(item) for item in _items(message))


def texts_of(messages: Iterable[Message]) -> str:
    """Return all that a model reads of *messages*, line by line."""
    return "\n".join(text_of(message) for message in messages)


def _by_preset(messages: Sequence[Message], budget_tokens: int, *, policy: Policy) -> Kept | None:
    try:
        done = compact(messages, budget_tokens=budget_tokens, policy=policy, form="chat")
    except FloorError:
        return None
    return Kept(messages=done.messages, recall=done.restore)


def _kept(messages: Sequence[Message], budget_tokens: int, *, first: Sequence[str]) -> Kept | None:
    groups = list(_groups(messages))
    kept = {at for at, group in enumerate(groups) if group[0]["role"] in ("system", "developer")}
    left = budget_tokens - size_of(message for at in kept for message in groups[at])
    if left < 0:
        return None
    for roles in (*((role,) for role in first), ()):
        newest = [at for at in range(len(groups) - 1, -1, -1) if at not in kept]
        for at in newest:
            if roles and groups[at][0]["role"] not in roles:
                continue
            size = size_of(groups[at]) - PRIMING
            if size > left:
                break
            kept.add(at)
            left -= size
    return Kept(messages=[message for at in sorted(kept) for message in groups[at]])


def _groups(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield messages that stay together: calls with the results that follow them."""
    group: list[Message] = []
    for message in messages:
        if group and message["role"] != "tool":
            yield group
            group = []
        group.append(message)
    if group:
        yield group


def _text(item: Item) -> str:
    match item:
        case ToolCall():
            return f"{item.name} {item.arguments}"
        case Reasoning():
            return item.text
        case Opaque():
            return ""
        case _:
            return plain_text(item.content)


def _items(message: Message) -> tuple[Item, ...]:
    return to_items(message, form="chat")


def arguments_of(message: Message) -> list[str]:
    """Return the arguments of the calls of *message*, as they were written."""
    return [item.arguments for item in _items(message) if isinstance(item, ToolCall)]
