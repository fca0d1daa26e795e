"""LangChain's own `SummarizationMiddleware`, where it is installed, with a summarizer that writes a fixed text."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import msgspec

from retold.cli.bench_senders import ENCODING, SUMMARY_TOKENS, Sent, as_sent, message_sent, parted
from retold.cli.bench_session import Message
from retold.events import Item
from retold.tokens import encoding

MODULE: Final = "langchain.agents.middleware"

_FIELDS: Final = ("role", "content", "tool_call_id", "name")

_SENTENCE: Final = "The user asked for a change, the agent read files, ran the tests, and noted what is left. "


class LangChain:
    """Send what the middleware leaves in its state, asked before each request, as an agent of LangChain does.

    The leading instructions are the agent's system prompt, which the middleware never sees.
    """

    def __init__(self, *, trigger: tuple[str, float], keep: tuple[str, float], window_tokens: int) -> None:
        models = import_module("langchain_core.language_models.fake_chat_models")
        self._language = import_module("langchain_core.messages")
        model = models.FakeListChatModel(responses=[""], profile={"max_input_tokens": window_tokens})
        text = _summary()
        self._middleware = import_module(MODULE).SummarizationMiddleware(
            model, trigger=trigger, keep=keep, summarizer=lambda _: text
        )
        self.compactions = 0
        self._first: list[Sent] | None = None
        self._said: dict[str, Sent] = {}
        self._state: list[Any] = []

    def hear(self, items: Sequence[Item]) -> None:
        """Take in what was said."""
        if self._first is None:
            first, items = parted(items)
            self._first = as_sent(first)
        for sent in as_sent(items):
            name = f"m{len(self._said)}"
            self._said[name] = sent
            self._state.append(self._message(msgspec.json.decode(sent.body), name))

    def request(self) -> list[Sent]:
        """Return what the middleware lets through."""
        changed = self._middleware.before_model({"messages": self._state}, None)
        if changed is not None:
            self.compactions += 1
            self._state = [one for one in changed["messages"] if not isinstance(one, self._language.RemoveMessage)]
            for summary in (one for one in self._state if one.id not in self._said):
                summary.id = summary.id or f"s{self.compactions}"
                self._said[summary.id] = message_sent({"role": "user", "content": summary.content})
        return [*(self._first or []), *(self._said[one.id] for one in self._state)]

    def _message(self, message: Message, name: str) -> Any:
        """Return *message* as LangChain has it; a call of a custom tool as one of a function, which it knows."""
        calls = [_as_function(call) for call in message.get("tool_calls", ())]
        known = {key: message[key] for key in _FIELDS if key in message} | {"id": name}
        known |= {"tool_calls": calls} if calls else {}
        return self._language.convert_to_messages([known])[0]


def _as_function(call: Message) -> Message:
    custom = call.get("custom")
    if custom is None:
        return call
    function = {"name": custom["name"], "arguments": msgspec.json.encode({"input": custom["input"]}).decode()}
    return {"id": call["id"], "type": "function", "function": function}


def _summary() -> str:
    vocabulary = encoding(ENCODING)
    return _SENTENCE * (SUMMARY_TOKENS // vocabulary.count(_SENTENCE) + 1)
