"""One session, as an agent uses it: append what happened, ask for the history to send next."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from retold.client import branching
from retold.client.appending import Expected, expected_seq, items_of
from retold.client.checking import check_edit, check_usage
from retold.client.compressing import CONFLICTS_MAX, SelfCompressing
from retold.client.decompressing import covered, opened, restored
from retold.client.erasing import Order, check_inherits, erase_session
from retold.client.reading import Readable
from retold.client.steering import Steered
from retold.errors import ConflictError, InputError
from retold.events import (
    Fact,
    HistoryEdited,
    Item,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    Policy,
    Recorded,
    SessionClosed,
    SessionKey,
    SessionUntagged,
    UsageReported,
    Window,
    session_key,
)
from retold.fold import Context, is_sealed, open_text
from retold.log.drafting import drafts_of
from retold.log.publishing import publish
from retold.ports import Clock, Erased, Log
from retold.replay import (
    At,
    Past,
    load,
    seq_at,
    tagged_seq,
)


class Session(Readable, SelfCompressing, Steered):
    """Append to one session and read its histories. Get it from `Client.session`.

    Every append returns the sequence of its last event, and is durable by then as far as the server's profile says.
    """

    def __init__(self, log: Log, clock: Clock, key: SessionKey, *, actor: str, past: Past | None = None) -> None:
        """Work on session *key* of *log*, writing as *actor*; *past* is shared by the sessions of a client."""
        self._past = Past(log) if past is None else past
        self._log = log
        self._clock = clock
        self._actor = actor
        self._known: Context | None = None
        self.key = key

    async def append(self, message: Mapping[str, Any] | Item, *, expected: Expected = None) -> int:
        """Append one message, in chat, Responses or Anthropic form, or an `Item`; return the last event's sequence.

        A message that holds several items (text beside calls) is appended whole or not at all. With *expected*, it is
        appended only if the session ends at that sequence; ``"any"`` and None append wherever it ends, ``"none"`` and 0
        only if it holds nothing, which an opened session never does.

        Raises:
            InputError: if the message is of no form that is known, a value in it is not of its field's type, or
                *expected* is neither a sequence nor one of the two words; nothing was appended.
            ConflictError: if the session ends elsewhere than *expected*; its `actual` says where.
            UnavailableError: if the log could not be reached; the call may be repeated.
        """
        return await self._record(
            [ItemAppended(item=item) for item in items_of(message)], expected=expected_seq(expected)
        )

    async def append_many(self, messages: Sequence[Mapping[str, Any] | Item], *, expected: Expected = None) -> int:
        """Append *messages* in order and as one, all or none; return the last event's sequence.

        Raises:
            InputError: as `append`, or if they are more than one append takes.
            ConflictError: as `append`.
            UnavailableError: as `append`.
        """
        items = [item for message in messages for item in items_of(message)]
        return await self._record([ItemAppended(item=item) for item in items], expected=expected_seq(expected))

    async def extend(self, text: str) -> int:
        """Add streamed *text* to the newest item of the history; return the event's sequence.

        Raises:
            InputError: if there is no such item, it has no text, or it is reasoning that its provider signed or
                encrypted; nothing was recorded.
            ConflictError: if the session grew `CONFLICTS_MAX` times while it was looked up; repeat the call.
            UnavailableError: as `append`.
        """
        for _ in range(CONFLICTS_MAX):
            with suppress(ConflictError):  # the worker wrote: the newest item may have changed
                return await self._extend(text)
        return await self._extend(text)

    async def report_usage(
        self, *, input_tokens: int, output_tokens: int = 0, cached_tokens: int = 0, model: str = ""
    ) -> int:
        """Record what the provider said the last request cost, in tokens, none of them negative. Raises as `append`.

        *input_tokens* is the whole prompt, what came from a cache included. Report before or right after the reply is
        appended, and before what comes next: compactions are decided by sizes that these figures calibrate. Name the
        *model* where it may change in the session.
        """
        usage = UsageReported(
            input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=cached_tokens, model=model
        )
        check_usage(usage)
        return await self._record([usage])

    async def pin(self, item_id: str) -> int:
        """Keep an item of the present history verbatim from now on; return the event's sequence.

        Raises:
            InputError: if the item is not in the history.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        context = await self._load()
        if all(entry.item.id != item_id for entry in context.entries):
            raise InputError(f"expected the id of an item of the history, got {item_id!r}")
        return await self._record([ItemPinned(item=item_id)], expected=context.seq)

    async def edit(
        self, items: Sequence[Mapping[str, Any] | Item], *, first: str | None = None, last: str | None = None
    ) -> int:
        """Replace the entries from *first* to *last* by *items*; None is the start or the end. Returns the sequence.

        What every compaction keeps stays here too: pins, system and developer text, calls that wait, the latest user
        message, and calls with their results. Leave them out of the range, or give them again unchanged.

        Raises:
            InputError: if an id is not in the history, the range is the wrong way round, or something would be lost
                that must stay; the message names it. Nothing was recorded.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        context = await self._load()
        ids = [entry.item.id for entry in context.entries]
        for item_id in (first, last):
            if item_id is not None and item_id not in ids:
                raise InputError(f"expected the id of an item of the history, got {item_id!r}")
        start = 0 if first is None else ids.index(first)
        end = len(ids) - 1 if last is None else ids.index(last)
        if first is not None and last is not None and start > end:
            raise InputError(f"expected a range in the history's order, got {first!r} to {last!r}")
        new = tuple(item for message in items for item in items_of(message))
        check_edit(context, new, first=start, last=end)
        return await self._record_and_publish([HistoryEdited(items=new, first=first, last=last)], expected=context.seq)

    async def close(self, *, reason: str = "") -> int:
        """Mark the session as done; return the event's sequence. An item appended later opens it again.

        Raises as `append`.
        """
        return await self._record([SessionClosed(reason=reason)])

    async def erase(self, *, by: str, reason: str = "", forks: bool = False) -> Erased:
        """Erase everything that the session holds now, for good, on behalf of *by*; return what was removed.

        What is left is a tombstone with *by*, *reason* and the time, which the session goes on from, empty. Forks
        inherit what it says: with *forks* they are erased, too, and theirs. May be repeated, and must be after a
        failure.

        Raises:
            InputError: if *by* is empty, or the session has forks and *forks* is not set; nothing was erased.
            CorruptLogError: if its end is damaged: repair it first.
            UnavailableError: if the log could not be reached; repeat the call.
        """
        self._known = None
        order = Order(by=by, reason=reason, actor=self._actor)
        return await erase_session(self._log, self._clock, self.key, order, forks=forks)

    async def rewind(self, to: At) -> int:
        """Return the history to what it was at *to*, a sequence, a time or a tag; return the event's sequence.

        What came after stays in the log, and out of every later history, summary and snapshot. A rewind can be rewound:
        to the sequence before it.

        Raises:
            InputError: if the session does not reach *to*, or there is no such tag.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        return await self._record_and_publish([await branching.rewound(self._log, self.key, to)])

    async def undo(self) -> int:
        """Undo the newest compaction: its originals return, what came after it stays. Returns the event's sequence.

        Where that is the agent's own, the blocks that it made are decompressed. Done again, it undoes the one before.
        The worker compacts again when the history has grown by a twentieth of the pre-rot threshold, or at once if it
        is above what can be sent.

        Raises:
            InputError: if there was no compaction since the session began, was forked, edited or erased.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        context = await self._load()
        blocks = [entry for entry in context.entries if entry.form == "compressed" and not context.compacted_seq]
        newest = [entry.item.id for entry in blocks if entry.seq == max(block.seq for block in blocks)]
        facts: list[Fact] = [opened(block, await covered(self._log, context, block)) for block in newest]
        return await self._record_and_publish(facts or [branching.undone(context)], expected=context.seq)

    async def restore(self, item_id: str) -> int:
        """Put an offloaded item's original back in its place in the history; return the event's sequence.

        An item that a compressed block stands for comes back behind the block, with what belongs to it; a block's own
        id decompresses it.

        Raises:
            InputError: if the item is neither in the history nor in one of its blocks, or whole already.
            CorruptLogError: if the log does not hold the original any more.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        context = await self._load()
        return await self._record([await restored(self._log, context, item_id)], expected=context.seq)

    async def fork(
        self, name: str, *, at: At | None = None, window: Window | None = None, policy: Policy | None = None
    ) -> "Session":
        """Open session *name* of the same tenant with this one's state at *at* (None: now), and return it.

        Nothing is copied: the fork names the event that it starts from, with its hash. From there on, each goes its own
        way. *window* and *policy* are those of the place unless they are given: name the window of the model that it is
        for, where that changed since.

        Raises:
            InputError: if the session does not reach *at*, or there is a session *name* already.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        key = session_key(name, tenant=self.key.tenant)
        forked = Session(self._log, self._clock, key, actor=self._actor, past=self._past)
        place = await self._seq(at)
        state = await self._load() if place is None else await load(self._log, self.key, at=place, base=self._known)
        opened = await branching.opened(state, forked.key, log=self._log, window=window, policy=policy)
        await forked._record([opened], expected=0)
        assert opened.parent is not None, "it names what it was forked from"
        await check_inherits(self._log, self._clock, forked.key, opened.parent, actor=self._actor)
        return forked

    async def tag(self, name: str, *, at: At | None = None) -> int:
        """Name the place *at* (None: now), so that *name* can be used for it; return the event's sequence.

        A name that is in use moves. Names are letters, digits, ``.``, ``_`` and ``-``, and begin with a letter.

        Raises:
            InputError: if the name cannot be one, the session does not reach *at*, or it has as many tags as it may.
        """
        return await self._record([branching.tagged(await self._load(), name, await self._seq(at))])

    async def untag(self, name: str) -> int:
        """Take the tag *name* off; return the event's sequence.

        Raises:
            InputError: if there is no such tag.
        """
        tagged_seq(await self._load(), name)
        return await self._record([SessionUntagged(name=name)])

    async def tags(self) -> dict[str, int]:
        """Return the session's tags, each with the sequence that it stands for."""
        return dict((await self._load()).tags)

    async def _seq(self, at: At | None) -> int | None:
        return None if at is None else await seq_at(self._log, self.key, at)

    async def _extend(self, text: str) -> int:
        context = await self._load()
        if open_text(context.entries) is None:
            # Recorded all the same, it would be an event that no fold takes: the session would be damaged for ever.
            raise InputError("expected a newest item with text to extend, there is none")
        if is_sealed(context.entries):
            raise InputError("expected a newest item that is open, got sealed reasoning: append the text as a new item")
        return await self._record([ItemExtended(text=text)], expected=context.seq)

    async def _load(self) -> Context:
        self._known = await load(self._log, self.key, base=self._known)
        return self._known

    async def _record_and_publish(self, facts: Sequence[Fact], *, expected: int | None = None) -> int:
        """Record what takes something out of the history, and out of what is published: no reader is given it more.

        Killed in between, the worker does the second.
        """
        seq = await self._record(facts, expected=expected)
        await publish(self._log, await load(self._log, self.key, at=seq, base=self._known))
        return seq

    async def _record(self, facts: Sequence[Fact], *, expected: int | None = None) -> int:
        recorded = await record_facts(self._log, self._clock, self.key, facts, actor=self._actor, expected=expected)
        return recorded[-1].event.seq


async def record_facts(
    log: Log, clock: Clock, key: SessionKey, facts: Sequence[Fact], *, actor: str, expected: int | None = None
) -> list[Recorded]:
    """Append *facts* to a session as one. Raises as `Log.append`."""
    if not facts:
        raise InputError("expected at least one item to append, got none")
    return await log.append(key, drafts_of(facts, clock, actor=actor), expected=expected)
