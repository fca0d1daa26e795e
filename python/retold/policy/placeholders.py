"""What stands for an item that was offloaded: what it was, how large, and how to get it back."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct, structs

from retold.events import Item, Message, Reasoning, Text, ToolCall, ToolResult, plain_text
from retold.fold import Entry, Tokens, count_item, count_results
from retold.formats import address_of
from retold.identifiers import tell_shortly
from retold.policy.values import told_of
from retold.tokens import Encoding

VALUES_CHARACTERS_MAX = 240
"""A result's placeholder lists values of it in so many characters, or one for each token: the next calls need them."""

BEGINNING_CHARACTERS = 80
"""A message's placeholder shows so much of it."""

FRAME_BYTES = 120
"""What a result's placeholder has beside the tool's name, the id and the values, numbers included, has fewer bytes."""

_BYTES_MOST = 4
"""No character has more."""

_PLAIN_BYTES_MOST = FRAME_BYTES + VALUES_CHARACTERS_MAX
_WIDE_BYTES_MOST = FRAME_BYTES + VALUES_CHARACTERS_MAX * _BYTES_MOST
_LINE = "\n"


class Placeholder(Struct, frozen=True, gc=False):
    """Hold what is to stand for an item. The item itself is made when it is asked for: many a plan is not carried out.

    Attributes:
        of: the item that it stands for.
        note: what it has in the place of arguments or content.
        tokens: what it takes.
        other: what is to stand there instead; None for the usual placeholder.
    """

    of: Item
    note: str
    tokens: Tokens
    other: Item | None = None

    @property
    def item(self) -> Item:
        """The item that stands there; it has the id, the role and the call of what it stands for."""
        return _noted(self.of, self.note) if self.other is None else self.other


def placeholders_of(entries: Sequence[Entry], tools: Sequence[str], vocabulary: Encoding) -> list[Placeholder]:
    """Return what may stand for each entry, a result of the tool beside it; the core reads and counts many at once."""
    notes = _notes(entries, tools)
    plain = [note for entry, note in zip(entries, notes, strict=True) if _is_plain(entry.item)]
    sizes = iter(count_results(plain, vocabulary))
    placeholders: list[Placeholder] = []
    for entry, note in zip(entries, notes, strict=True):
        tokens = next(sizes) if _is_plain(entry.item) else _tokens(entry.item, note, vocabulary)
        placeholders.append(Placeholder(entry.item, note, tokens))
    return placeholders


def gain_least(entry: Entry, tool: str) -> int:
    """Return what the placeholder of *entry*, a result of *tool* or no result, surely frees, in tokens; O(1) for most.

    Only for a vocabulary that makes no more tokens than bytes of a text, as OpenAI's. What is neither result nor
    reasoning frees nothing, for all that is known without a look.
    """
    item, size = entry.item, entry.tokens.upper
    if type(item) is ToolResult and item.extra is None:
        text = plain_text(item.content)
        is_narrow = text.isascii() and (text[:1] not in ("{", "[") or "\\u" not in text)
        most = _PLAIN_BYTES_MOST if is_narrow else _WIDE_BYTES_MOST
        most += _BYTES_MOST * (len(tool) + len(item.id))
        return size - most if size > most else 0
    return size if type(item) is Reasoning else 0


def _tokens(item: Item, note: str, vocabulary: Encoding) -> Tokens:
    return count_item(_noted(item, note), vocabulary) if note else Tokens()  # what stands for reasoning is never sent


def _is_plain(item: Item) -> bool:
    return type(item) is ToolResult and item.extra is None


def _notes(entries: Sequence[Entry], tools: Iterable[str]) -> list[str]:
    results = [(entry, plain_text(entry.item.content)) for entry in entries if type(entry.item) is ToolResult]
    told = tell_shortly([(told_of(text), min(VALUES_CHARACTERS_MAX, entry.tokens.total)) for entry, text in results])
    read = zip((text for _, text in results), told, strict=True)
    notes: list[str] = []
    for entry, tool in zip(entries, tools, strict=True):
        if type(entry.item) is ToolResult:
            text, has = next(read)
            what = f"result of {tool} offloaded: {entry.tokens.total} tokens, {text.count(_LINE) + 1} lines"
            tail = f"; has {has}]" if has else "]"
            notes.append(f"[Retold: {what}; restore item {entry.item.id} to read it{tail}")
        else:
            notes.append(_note(entry))
    return notes


def _note(entry: Entry) -> str:
    """Return the note on what is no result; reasoning leaves none."""
    item = entry.item
    if type(item) is ToolCall:
        note = f"arguments offloaded: {entry.tokens.total} tokens; restore item {item.id} to read them"
        return msgspec.json.encode({"retold": note}).decode() if item.kind == "function" else f"[Retold: {note}]"
    if type(item) is Message:
        begins = " ".join(plain_text(item.content)[:BEGINNING_CHARACTERS].split())
        what = f"{item.role} message offloaded: {entry.tokens.total} tokens"
        return f"[Retold: {what}; restore item {item.id} to read it; begins: {begins}]"
    return ""


def _noted(item: Item, note: str) -> Item:
    """Return *item* with *note* as its content, or its arguments; reasoning without a word."""
    match item:
        case ToolCall():
            return structs.replace(item, arguments=note, extra=address_of(item.extra))
        case ToolResult() | Message():
            return structs.replace(item, content=(Text(note),), extra=address_of(item.extra))
        case Reasoning():
            return Reasoning(id=item.id, form="anthropic", group=item.group)  # unsigned: no form can send it
        case _:
            raise AssertionError("a provider's block is never offloaded")
