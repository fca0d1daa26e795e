"""What a model answered, independent of a provider's form: a stream of parts, and the whole that they make.

Every form's reader gives these, every form's writer takes them. Parts of several calls may come interleaved; each
names its call by `index`.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from retold.events import Item, Message, Reasoning, Text, ToolCall

Reason = Literal["stop", "length", "calls", "filter"]
"""Why an answer ended: it was done, cut off, waits for tools, or was withheld."""


class Usage(Struct, frozen=True):
    """Hold what a provider said a request cost, in tokens; *cached_tokens* are among the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Began(Struct, frozen=True):
    """Say that the answer begins; *id* and *model* are the provider's, and may be empty."""

    id: str = ""
    model: str = ""


class Said(Struct, frozen=True):
    """Hold a piece of text."""

    text: str


class Thought(Struct, frozen=True):
    """Hold a piece of readable reasoning."""

    text: str


class Called(Struct, frozen=True):
    """Say that call *index* begins."""

    index: int
    call_id: str
    name: str


class Argued(Struct, frozen=True):
    """Hold a piece of the arguments of call *index*, as JSON text."""

    index: int
    text: str


class Ended(Struct, frozen=True):
    """Say that the answer is whole, or was cut off."""

    reason: Reason = "stop"
    usage: Usage | None = None


class Broke(Struct, frozen=True):
    """Say that the provider failed in the middle of its answer."""

    message: str
    code: str = "upstream_error"


Piece = Began | Said | Thought | Called | Argued | Ended | Broke


class Call(Struct):
    """Hold one call as it grows."""

    call_id: str
    name: str
    arguments: str = ""


class Reply(Struct):
    """Hold a whole answer.

    Attributes:
        order: what it consists of, in order: ``thought``, ``said``, or the index of a call.
    """

    id: str = ""
    model: str = ""
    thought: str = ""
    said: str = ""
    calls: dict[int, Call] = {}
    order: list[str | int] = []
    reason: Reason = "stop"
    usage: Usage | None = None
    is_whole: bool = False
    broke: Broke | None = None

    def add(self, piece: Piece) -> None:
        """Take the next *piece*."""
        match piece:
            case Began():
                self.id, self.model = piece.id, piece.model
            case Said():
                self._place("said")
                self.said += piece.text
            case Thought():
                self._place("thought")
                self.thought += piece.text
            case Called():
                self._place(piece.index)
                self.calls[piece.index] = Call(call_id=piece.call_id, name=piece.name)
            case Argued():
                self.calls[piece.index].arguments += piece.text
            case Ended():
                self.reason, self.usage, self.is_whole = piece.reason, piece.usage or self.usage, True
            case Broke():
                self.broke = piece

    def _place(self, what: str | int) -> None:
        if what not in self.order:
            self.order.append(what)

    def items(self) -> list[Item]:
        """Return the answer as items of a conversation, of one response; readable reasoning has no provider's block."""
        made: list[Item] = []
        group = self.id or next((call.call_id for call in self.calls.values()), None)
        group = group if len(self.order) > 1 else None
        for what in self.order:
            if what == "thought":
                made.append(Reasoning(text=self.thought, form="chat", group=group))
            elif what == "said":
                made.append(Message(role="assistant", content=(Text(self.said),), group=group))
            elif isinstance(what, int):
                call = self.calls[what]
                made.append(ToolCall(call_id=call.call_id, name=call.name, arguments=call.arguments, group=group))
        return made


def gather(pieces: Iterable[Piece]) -> Reply:
    """Return the whole that *pieces* make."""
    reply = Reply()
    for piece in pieces:
        reply.add(piece)
    return reply
