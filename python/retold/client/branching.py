"""Forks, rewinds, undos, restores and tags: which fact each comes to, checked before it is recorded.

A fact that no fold takes would damage its session for ever, so what it names is looked up first.
"""

import re

from msgspec import UNSET

from retold.client.checking import check_window
from retold.errors import CorruptLogError, InputError
from retold.events import (
    CompactionUndone,
    ForkPoint,
    Item,
    ItemsOffloaded,
    Policy,
    Recorded,
    SessionKey,
    SessionOpened,
    SessionRewound,
    SessionTagged,
    Window,
)
from retold.fold import Context, item_hash
from retold.log.tail import fork_point
from retold.ports import Log
from retold.replay import TAG_CHARACTERS_MAX, At, load, seq_at

TAGS_MAX = 1_000
"""How many tags a session may have: each is in every snapshot of it."""

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_ITEM_ID = re.compile(r"[ics][0-9]+\Z")


async def opened(
    state: Context, fork: SessionKey, *, log: Log, window: Window | None, policy: Policy | None
) -> SessionOpened:
    """Return what opens *fork* with *state*.

    Raises:
        InputError: if *fork* exists already, or *window* leaves no room.
    """
    if (await log.head(fork)).seq > 0:
        raise InputError(f"expected a name that is free for the fork, there is a session {fork.session!r}")
    return SessionOpened(
        window=state.window if window is None else check_window(window),
        policy=policy or state.policy,
        encoding=state.encoding,
        tuning=state.tuning or UNSET,
        parent=ForkPoint(session=state.key.session, seq=state.seq, head=state.head),
    )


async def rewound(log: Log, key: SessionKey, to: At) -> SessionRewound:
    """Return the rewind to *to*.

    Raises:
        InputError: if the session does not reach it.
    """
    seq, end = await seq_at(log, key, to), (await log.head(key)).seq
    if type(seq) is not int or not 1 <= seq <= end:
        came = seq if type(seq) is int else type(seq).__name__
        raise InputError(f"expected a sequence of 1 to {end} to rewind to, got {came}")
    return SessionRewound(to_seq=seq)


def undone(context: Context) -> CompactionUndone:
    """Return the undo of the newest compaction.

    Raises:
        InputError: if there is none.
    """
    if not context.compacted_seq:
        raise InputError(
            "expected a compaction to undo, there was none since the session began, was forked, edited or erased: "
            "rewind it, or fork it from an earlier place"
        )
    return CompactionUndone(seq=context.compacted_seq)


def tagged(context: Context, name: str, at: int | None) -> SessionTagged:
    """Return the tag *name* of event *at*; None is the newest.

    Raises:
        InputError: if the name cannot be one, the session does not reach *at*, or it has too many tags.
    """
    if len(name) > TAG_CHARACTERS_MAX or not _TAG.match(name) or _ITEM_ID.match(name):
        got = f"{len(name)} characters" if len(name) > TAG_CHARACTERS_MAX else repr(name)
        raise InputError(
            f"expected a tag of a letter and at most {TAG_CHARACTERS_MAX - 1} letters, digits, '.', '_' or '-', and "
            f"not like an item's id, got {got}"
        )
    seq = context.seq if at is None else at
    if type(seq) is not int or not 1 <= seq <= context.seq:
        raise InputError(f"expected a sequence of 1 to {context.seq} to tag, got {seq}")
    if len(context.tags) >= TAGS_MAX and name not in context.tags:
        raise InputError(f"expected at most {TAGS_MAX} tags in a session: take one off first")
    return SessionTagged(name=name, seq=seq)


async def original(log: Log, context: Context, item_id: str) -> Item:
    """Return what was offloaded as *item_id*, found where it was offloaded and checked by its hash.

    Raises:
        InputError: if the item is not in the history, or is no placeholder there.
        CorruptLogError: if the log does not hold it.
    """
    entry = next((entry for entry in context.entries if entry.item.id == item_id), None)
    if entry is None:
        raise InputError(
            f"expected the id of an item of the history, got {item_id!r}: what a summary stands for returns by an undo "
            "of its compaction, or is read in the history of a place before it"
        )
    if entry.form != "placeholder" or entry.original is None:
        raise InputError(f"expected an offloaded item, {item_id!r} is {entry.form} in the history")
    key, until = context.key, context.seq
    while True:
        first, offloaded = await _offloads(log, key, item_id, entry.original, until=until)
        if offloaded:
            state = await load(log, key, at=offloaded - 1)
            found = (one.item for one in state.entries if one.item.id == item_id)
            item = next((item for item in found if item_hash(item) == entry.original), None)
            if item is not None:
                return item
        point = None if first is None else fork_point(first)
        if point is None:
            raise CorruptLogError(f"the original of {item_id!r} is not in the log", session=key.session, seq=until)
        key, until = SessionKey(tenant=key.tenant, session=point.session), point.seq


async def _offloads(log: Log, key: SessionKey, item_id: str, sha256: str, *, until: int) -> tuple[Recorded | None, int]:
    """Return the session's first event, and the newest up to *until* that offloaded this original; 0: none did."""
    first, newest = None, 0
    async for recorded in log.read(key, until=until):
        first, fact = first or recorded, recorded.event.data
        if isinstance(fact, ItemsOffloaded) and any((o.item, o.sha256) == (item_id, sha256) for o in fact.items):
            newest = recorded.event.seq
    return first, newest
