"""What the facts about edits by hand are made of: ranges that become other items, and entries that come back."""

from typing import Literal

from msgspec import Struct

from retold.events.items import Item

EntryForm = Literal["whole", "placeholder", "summary", "cut", "edited", "compressed"]
"""How an entry of a history came to be what it is: as it was appended, or by which kind of compaction."""


class EditedRange(Struct, frozen=True):
    """Replace the entries from *first* to *last* (ids, both included) by *items*; None is the start, or the end."""

    items: tuple[Item, ...]
    first: str | None = None
    last: str | None = None


class Original(Struct, frozen=True):
    """Hold an entry that a compressed block stands for, as it was; the fields are those of an entry of a history."""

    item: Item
    seq: int
    form: EntryForm
    original: str | None
