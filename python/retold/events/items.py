"""Items: the entries of a conversation, independent of any provider's form.

Rules:
- An item is frozen. Text that the model sees is held as text; what only a provider understands is held as the JSON text
  that came, byte for byte (`Block.body`, `Reasoning.body`, `Opaque.body`).
- `id` is given by the fold: the n-th item of a session is ``i<n>``, or ``c<n>`` if it is a compressed block; a summary
  is ``s<version>``. What an appended item says is replaced, so ids are unique within a session and do not depend on
  when a worker wrote in between.
- An item's JSON is the same before and after a round trip: its hash proves it. So defaults are left out only where they
  are None, False or empty (msgspec compares a default by identity, and a decoded "function" is another object).
- Items of one model response (text beside calls, parallel calls) share a `group`; neighbours of one group are rendered
  as one message and never parted.
"""

from typing import Literal

from msgspec import Struct

Form = Literal["chat", "responses", "anthropic"]
"""A provider's way of writing messages: Chat Completions, Responses, or Anthropic Messages."""

Speaker = Literal["system", "developer", "user", "assistant"]
"""Who may say something in a provider's form."""

Role = Literal[Speaker, "compressed"]
"""Who said a message, or that a model wrote it in place of earlier entries (`compress_history`); sent as the user's."""


class Text(Struct, frozen=True, gc=False, tag="text"):
    """Hold plain text of a message or a tool result."""

    text: str


class Block(Struct, frozen=True, gc=False, tag="block"):
    """Hold one content part that is not plain text (an image, a document), as the JSON text that came.

    Attributes:
        form: the provider's form that the part is written in.
        kind: the part's own `type`, for example ``image_url``.
        body: the part's JSON text, unchanged.
    """

    form: Form
    kind: str
    body: str


Part = Text | Block


class Message(Struct, frozen=True, gc=False, tag="message", omit_defaults=True):
    """Hold what somebody said.

    Attributes:
        role: who said it.
        content: the parts, in order; may be empty.
        id: given by the fold; empty before.
        name: the speaker's name, where the form has one.
        group: the model response that this belongs to, where it produced more than one item.
        extra: a JSON object with the fields of the source form that have no place here, or None.
    """

    role: Role
    content: tuple[Part, ...] = ()
    id: str = ""
    name: str | None = None
    group: str | None = None
    extra: str | None = None


class ToolCall(Struct, frozen=True, gc=False, tag="tool_call"):
    """Hold a model's request to run a tool.

    Attributes:
        call_id: the provider's id, which the result repeats.
        name: the tool's name.
        arguments: the arguments as the model wrote them: JSON text for a function, free text for a custom tool.
        kind: whether `arguments` is a function's JSON or a custom tool's free text.
    """

    call_id: str
    name: str
    arguments: str
    id: str = ""
    kind: Literal["function", "custom"] = "function"
    group: str | None = None
    extra: str | None = None


class ToolResult(Struct, frozen=True, gc=False, tag="tool_result"):
    """Hold what a tool answered to the call with the same `call_id`."""

    call_id: str
    content: tuple[Part, ...] = ()
    id: str = ""
    kind: Literal["function", "custom"] = "function"
    is_error: bool = False
    group: str | None = None
    extra: str | None = None


class Reasoning(Struct, frozen=True, gc=False, tag="reasoning"):
    """Hold a model's reasoning: the readable text, and the provider's signed or encrypted block where there is one.

    Attributes:
        text: the readable reasoning or its summary; may be empty.
        form: the form that `body` is written in.
        body: the provider's block as JSON text, unchanged, or None if there is only text.
    """

    text: str = ""
    id: str = ""
    form: Form = "responses"
    body: str | None = None
    group: str | None = None


class Opaque(Struct, frozen=True, gc=False, tag="opaque", omit_defaults=True):
    """Hold a provider's block that nobody else can read, as the JSON text that came.

    Attributes:
        form: the provider's form.
        kind: the block's own `type`, for example ``compaction``.
        body: the block's JSON text, unchanged.
        provider: whose block it is, where it was asked for by a worker: only there it can be read.
        model: the model that it was made for.
        words: what everybody else is sent in its place, a user's message; empty where there is nothing to send.
    """

    form: Form
    kind: str
    body: str
    id: str = ""
    group: str | None = None
    provider: str = ""
    model: str = ""
    words: str = ""


Item = Message | ToolCall | ToolResult | Reasoning | Opaque


def is_compressed(item: Item) -> bool:
    """Return whether *item* is a compressed block: what a model wrote in place of earlier entries."""
    return isinstance(item, Message) and item.role == "compressed"


def plain_text(content: tuple[Part, ...]) -> str:
    """Return the text parts of *content*, joined by newlines; other parts leave nothing."""
    if len(content) == 1 and isinstance(content[0], Text):
        return content[0].text
    return "\n".join(part.text for part in content if isinstance(part, Text))
