"""Messages of any form, to items and back: the dispatch over the three forms."""

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from retold.events.items import Form, Item
from retold.formats import anthropic, chat, responses
from retold.formats.blocks import sendable
from retold.formats.detect import detect_form
from retold.formats.expect import as_object
from retold.formats.json_text import check_message


def to_items(message: Mapping[str, Any], *, form: Form | None = None) -> tuple[Item, ...]:
    """Return the items of one provider's message, in order; ids are empty, more than one share a `group`.

    The form is detected where it is not given; give it for messages of a known list (`detect_forms`), for a single
    one may be in several. Raises InputError naming the path if the message has a wrong shape, holds what JSON cannot,
    or holds a lone surrogate, which UTF-8 cannot carry.
    """
    check_message(as_object(message, at=""))
    return read_message(message, detect_form(message) if form is None else form)


def read_message(message: Mapping[str, Any], form: Form) -> tuple[Item, ...]:
    """Return the items of a *message* that was read from JSON text, so that it need not be checked again."""
    match form:
        case "chat":
            return chat.read_message(message)
        case "responses":
            return responses.read_message(message)
        case "anthropic":
            return anthropic.read_message(message)
        case _:
            assert_never(form)


def render(items: Iterable[Item], form: Form, *, model: str | None = None) -> list[dict[str, Any]]:
    """Return *items* as messages of *form*, in order; neighbours of one group become one message.

    What *form* cannot hold is translated or left out, as the form's module says; a provider's compaction is sent to
    whom it is bound to, and in words to others (`blocks`). Nothing is shared with *items*.
    Raises InputError if an item's `body` or `extra` is no JSON.
    """
    items = sendable(items, form, model=model)
    match form:
        case "chat":
            return chat.render(items)
        case "responses":
            return responses.render(items)
        case "anthropic":
            return anthropic.render(items)
        case _:
            assert_never(form)
