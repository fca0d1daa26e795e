"""Places of a session: how one says which state is meant."""

import re
from datetime import datetime
from typing import Final

from retold.errors import InputError
from retold.events import SEQ_MAX
from retold.fold import Context

At = int | datetime | str
"""A place of a session: the last event before it, by sequence, time (UTC if it has no zone), item or tag."""

TAG_CHARACTERS_MAX = 64
"""The longest name of a tag."""

ITEM_ID: Final = re.compile(r"[ics][0-9]{1,15}\Z")
"""The id of an item (``i12``), a compressed block (``c40``) or a summary (``s3``). No tag is like it."""


def check_seq(seq: object) -> int:
    """Return *seq*.

    Raises:
        InputError: if it is not a whole number of 1 or more.
    """
    if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
        came = seq if type(seq) is int else type(seq).__name__
        raise InputError(f"expected a sequence of 1 or more, a time, a tag or the id of an item, got {came}")
    return seq


def tagged_seq(context: Context, name: str) -> int:
    """Return the sequence that the tag *name* stands for.

    Raises:
        InputError: if there is no such tag.
    """
    if name not in context.tags:
        told = f"there is no tag {name!r}" if len(name) <= TAG_CHARACTERS_MAX else f"got {len(name)} characters"
        raise InputError(f"expected a sequence, an ISO time or a tag of session {context.key.session!r}, {told}")
    return context.tags[name]
