"""Spans: what the body of a replacement history is made of, without copying what stays."""

from msgspec import Struct

from retold.events.items import Item


class Keep(Struct, frozen=True, tag="keep"):
    """Keep the entries from *first* to *last* (both ids included) as they were at the base."""

    first: str
    last: str


class Place(Struct, frozen=True, tag="place"):
    """Place an item that the same plan has written: an offload's placeholder or the summary, by id."""

    item: str


class Put(Struct, frozen=True, tag="put"):
    """Put new text: an item whose content was cut."""

    item: Item


Span = Keep | Place | Put
