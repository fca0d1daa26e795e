"""Sessions for the laws: a story is a list of moves; told, it is the events that agents and a worker write.

A move is a verb and a number; the number chooses among what is possible at that point, and a move that is not possible
is passed over. So every list of moves is a session, a shorter list is a simpler one, and a counterexample reads as one.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec import structs
from tests.laws.texts import TEXTS

from retold.errors import FloorError, InputError
from retold.events import (
    Block,
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    CompactionRequested,
    CompactionUndone,
    Draft,
    Fact,
    Head,
    HistoryDecompressed,
    HistoryEdited,
    Item,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    Message,
    Opaque,
    Original,
    Policy,
    Reasoning,
    Recorded,
    Role,
    SessionClosed,
    SessionErased,
    SessionOpened,
    SessionRewound,
    SessionTagged,
    SessionUntagged,
    SummaryField,
    Text,
    ToolCall,
    ToolResult,
    UsageReported,
    Window,
    WindowChanged,
    record,
    session_key,
)
from retold.fold import (
    Builder,
    Context,
    Entry,
    Tokens,
    advance,
    base_of,
    fold,
    item_hash,
    newest_summary,
    returns_to,
)
from retold.policy import PRESETS, Replacement, carry_out, decide, limits_for, limits_of, plan_id, tier_of
from retold.policy.bonds import atoms
from retold.policy.compressing import Range, movable_runs, plan_compression

KEY = session_key("story", tenant="laws")
SMALL = Window(hard_limit=4_000, pre_rot=3_000, reserve=400)
WINDOWS = (SMALL, Window(hard_limit=12_000, pre_rot=6_000, reserve=1_000), Window(hard_limit=30_000, pre_rot=5_000))

SAID = ("user", "say", "think", "call", "result", "late", "system", "image", "opaque", "usage", "request", "close")
"""What an agent says: no barrier, so a plan made before it stays good."""
CHANGED = ("extend", "edit", "pin", "rewind", "restore", "window", "erase")
"""What changes the history that a plan was made on."""
BRANCHED = ("undo", "tag", "untag")
"""What takes a compaction back, and what names places: both by sequences, so they are told where they were made."""
MANAGED = ("compress", "recall")
"""What a model does with its own history: put blocks in the place of ranges, and have what they stand for back."""
WORKED = ("decide", "commit", "compact", "fail")
"""What a worker does: plan now and write the result later, or both at once, or fail."""

_TIMES = {"user": 3, "say": 4, "call": 8, "result": 16, "compact": 4, "decide": 2, "commit": 2, "erase": 0}


class Move(NamedTuple):
    """One step of a story."""

    verb: str
    number: int


def moves(*verbs: str, at_least: int = 1, at_most: int = 40) -> st.SearchStrategy[list[Move]]:
    """Return lists of moves of *verbs*, each as often as sessions have it."""
    weighted = [verb for verb in verbs for _ in range(_TIMES.get(verb, 1))]
    if "erase" in verbs:
        weighted.append("erase")
    one = st.builds(Move, st.sampled_from(weighted), st.integers(0, 59))
    return st.lists(one, min_size=at_least, max_size=at_most)


class Story:
    """A session while it is told: its events so far, its state, and a plan that was made and not carried out yet."""

    def __init__(self, window: Window = SMALL, *, policy: Policy = "ladder") -> None:
        """Open the session."""
        self.events: list[Recorded] = []
        self.builder = Builder()
        self.waiting: list[ToolCall] = []
        self.answered: list[ToolCall] = []
        self.originals: dict[str, Item] = {}
        self.covered: dict[str, tuple[tuple[Original, ...], tuple[SummaryField, ...]]] = {}
        self.plan: tuple[Context, Replacement | None] | None = None
        self.decided_seq = 0
        self.limits = limits_of(window)
        self._calls = 0
        self.write(SessionOpened(window=window, policy=policy))

    @property
    def context(self) -> Context:
        """The state after the last event."""
        return self.builder.freeze()

    @property
    def place(self) -> int:
        """The last event that a worker may decide at."""
        return next(one.event.seq for one in reversed(self.events) if base_of(one) is None)

    def fork(self, at: int) -> "Story":
        """Return this story as it was after event *at*, to be told differently from there."""
        told = Story()
        told.events = self.events[:at]
        told.builder = Builder.resume(fold(told.events))
        told.originals, told.covered = dict(self.originals), dict(self.covered)
        return told

    def write(self, *facts: Fact) -> None:
        """Append *facts* to the session."""
        for fact in facts:
            number = len(self.events) + 1
            draft = Draft(
                id=f"{number:08}",
                at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=number * 1_000_003),
                actor="worker" if isinstance(fact, CompactionPlanned) else "agent",
                data=fact,
            )
            head = self.events[-1].head if self.events else Head()
            self.events.extend(record([draft], key=KEY, head=head))
            advance(self.builder, self.events[-1], earlier=self.events)

    def tell(self, told: Sequence[Move]) -> "Story":
        """Tell *told*, then carry out the plan that is still open."""
        for move in told:
            getattr(self, f"_{move.verb}")(move.number)
        self._commit(0)
        return self

    # ---- what an agent says ---------------------------------------------------------------------------------------

    def _append(self, *items: Item) -> None:
        self.write(*(ItemAppended(item=item) for item in items))

    def say(self, role: Role, text: str) -> None:
        """Append a message of *role*."""
        self._append(Message(role=role, content=(Text(text),)))

    def _user(self, number: int) -> None:
        self.say("user", TEXTS[number % len(TEXTS)])

    def _say(self, number: int) -> None:
        self.say("assistant", TEXTS[number % len(TEXTS)])

    def _system(self, number: int) -> None:
        self.say("system" if number % 2 else "developer", TEXTS[number % 4])

    def _think(self, number: int) -> None:
        text = TEXTS[number % len(TEXTS)]
        body = None if number % 3 else '{"type":"thinking","thinking":"…","signature":"' + "S" * (number * 40) + '"}'
        self._append(Reasoning(text=text, form="anthropic", body=body))

    def _image(self, number: int) -> None:
        body = '{"type":"image_url","image_url":{"url":"data:image/png;base64,' + "A" * number + '"}}'
        self._append(Message(role="user", content=(Block(form="chat", kind="image_url", body=body),)))

    def _opaque(self, number: int) -> None:
        body = '{"type":"compaction","encrypted_content":"' + "B" * (number * 101) + '"}'
        self._append(Opaque(form="responses", kind="compaction", body=body))

    def _call(self, number: int) -> None:
        """Make one to three calls in parallel; every second time with a text beside them, as one response."""
        group = f"g{len(self.events)}" if number % 2 else None
        items: list[Item] = [Message(role="assistant", content=(Text("Let me look."),), group=group)] if group else []
        for nth in range(1 + number % 3):
            self._calls += 1
            long = '{"path": "src/a.py", "content": "' + "row " * (number * 10) + '"}'
            call = ToolCall(
                call_id=f"call_{self._calls if number % 7 else nth}",
                name=("read_file", "bash", "apply_patch")[nth],
                arguments=long if number % 4 == 0 else f'{{"path": "src/{number}.py"}}',
                kind="custom" if number % 5 == 0 else "function",
                group=group,
            )
            items.append(call)
        self.waiting.extend(item for item in items if isinstance(item, ToolCall))
        self._append(*items)

    def _result(self, number: int) -> None:
        if self.waiting:
            call = self.waiting.pop(number % len(self.waiting))
            self.answered.append(call)
            self._answer(call, number)

    def answer(self, text: str) -> None:
        """Answer the oldest call that waits with *text*."""
        call = self.waiting.pop(0)
        self._append(ToolResult(call_id=call.call_id, content=(Text(text),), kind=call.kind))

    def _late(self, number: int) -> None:
        if self.answered:
            self._answer(self.answered[number % len(self.answered)], number)

    def _answer(self, call: ToolCall, number: int) -> None:
        text = TEXTS[number % len(TEXTS)]
        self._append(ToolResult(call_id=call.call_id, content=(Text(text),), kind=call.kind, is_error=number % 11 == 0))

    def _usage(self, number: int) -> None:
        self.write(UsageReported(input_tokens=number * 100, output_tokens=number, model="m" if number % 2 else ""))

    def _request(self, number: int) -> None:
        self.write(CompactionRequested(reason="asked" if number % 2 else ""))

    def _close(self, number: int) -> None:
        self.write(SessionClosed(reason="done" if number % 2 else ""))

    # ---- what changes the history ---------------------------------------------------------------------------------

    def _extend(self, number: int) -> None:
        entries = self.context.entries
        if entries and entries[-1].form == "whole" and not isinstance(entries[-1].item, Opaque):
            self.write(ItemExtended(text=TEXTS[number % 7]))

    def _edit(self, number: int) -> None:
        ids = [entry.item.id for entry in self.context.entries]
        items = tuple(Message(role="user", content=(Text(TEXTS[nth]),)) for nth in range(number % 3))
        first = ids[number % len(ids)] if ids and number % 4 else None
        last = ids[-1 - number % len(ids)] if ids and number % 5 else None
        if first is not None and last is not None and ids.index(first) > ids.index(last):
            first, last = last, first
        self.write(HistoryEdited(items=items, first=first, last=last))

    def _pin(self, number: int) -> None:
        entries = self.context.entries
        if entries:
            self.write(ItemPinned(item=entries[number % len(entries)].item.id))

    def _rewind(self, number: int) -> None:
        last = self.events[-1].event.seq
        self.write(SessionRewound(to_seq=max(1, last - number % 12)))

    def _restore(self, number: int) -> None:
        placeholders = [entry for entry in self.context.entries if entry.form == "placeholder"]
        if placeholders:
            original = placeholders[number % len(placeholders)].original
            assert original is not None
            self.write(ItemRestored(item=self.originals[original]))

    def _compress(self, number: int) -> None:
        """Put blocks in the place of one or two of the ranges that may be compressed."""
        context = self.context
        runs = movable_runs(context, number % max(1, len(context.entries)), len(context.entries) - 1)
        ids = [entry.item.id for entry in context.entries]
        ranges = [Range(ids[run.start], ids[run.stop - 1], (f"done {number}",)) for run in runs]
        chosen = ranges[-1:] if number % 2 else ranges[:2]
        with suppress(InputError):
            plan = plan_compression(context, chosen)
            for block in plan.blocks:
                entries = [context.entries[ids.index(item_id)] for item_id in block.items]
                has_summary = newest_summary(context.entries) in block.items
                originals = tuple(Original(one.item, one.seq, one.form, one.original) for one in entries)
                self.covered[block.block] = (originals, context.summary if has_summary else ())
            self.write(plan.edited)

    def _recall(self, number: int) -> None:
        """Have all that a block stands for back, or, every third time, its first entry and what belongs to it."""
        blocks = [entry.item.id for entry in self.context.entries if entry.form == "compressed"]
        if not blocks:
            return
        block = blocks[number % len(blocks)]
        originals, summary = self.covered[block]
        if number % 3:
            self.write(HistoryDecompressed(block=block, originals=originals, summary=summary))
            return
        entries = [Entry(item=one.item, tokens=Tokens(), seq=one.seq) for one in originals]
        some = tuple(originals[at] for at in atoms(entries)[0])
        self.write(HistoryDecompressed(block=block, originals=some, behind=block))

    def _window(self, number: int) -> None:
        encoding = ("cl100k_base", "o200k_base", None)[number % 3]
        self.write(WindowChanged(window=WINDOWS[number % len(WINDOWS)], encoding=encoding))

    def _undo(self, _: int) -> None:
        if seq := self.context.compacted_seq:
            self.write(CompactionUndone(seq=seq))

    def _tag(self, number: int) -> None:
        self.write(SessionTagged(name=f"tag{number % 3}", seq=1 + number % len(self.events)))

    def _untag(self, number: int) -> None:
        self.write(SessionUntagged(name=f"tag{number % 3}"))

    def _erase(self, number: int) -> None:
        self.write(SessionErased(by="owner", reason="asked" if number % 2 else ""))

    # ---- what a worker does ---------------------------------------------------------------------------------------

    def _decide(self, number: int) -> None:
        """Make a plan at the last source event, and write it; what comes of it is written by a later move."""
        place = self.place
        if self.plan is not None or self.decided_seq >= place or self.events[-1].event.seq != place:
            return
        context = self.context
        self.decided_seq = place
        window = context.window if number % 4 else structs.replace(context.window, pre_rot=1_000)
        try:
            if (decision := decide(context, window)) is None:
                return
            self.limits = limits_for(context, window)
            replacement = carry_out(context, self.limits)
        except FloorError as error:
            self.write(CompactionFailed(plan=plan_id(context), base_seq=place, reason=str(error)))
            return
        self.originals.update({item_hash(entry.item): entry.item for entry in context.entries})
        planned = CompactionPlanned(
            plan=plan_id(context),
            base_seq=place,
            tier=tier_of(decision),
            tokens_before=context.tokens.upper,
            target_tokens=decision.target_tokens,
        )
        self.write(planned)
        self.plan = (context, replacement)

    def _commit(self, _: int) -> None:
        if self.plan is None:
            return
        context, replacement = self.plan
        self.plan = None
        if self.has_barrier_after(context.seq):
            abandoned = CompactionAbandoned(plan=plan_id(context), base_seq=context.seq, reason="changed")
            self.write(abandoned)
        elif replacement is not None:
            self.write(*replacement.facts)

    def _compact(self, number: int) -> None:
        self._commit(number)
        self._decide(number)
        self._commit(number)

    def _fail(self, _: int) -> None:
        if self.plan is not None and not self.has_barrier_after(self.plan[0].seq):
            context, self.plan = self.plan[0], None
            self.write(CompactionFailed(plan=plan_id(context), base_seq=context.seq, reason="no"))

    def has_barrier_after(self, seq: int) -> bool:
        """Return whether an event after *seq* changed the history that was there."""
        changed = HistoryEdited | ItemExtended | ItemPinned | ItemRestored | SessionErased | WindowChanged
        changed |= HistoryDecompressed
        return any(isinstance(one.event.data, changed) or returns_to(one) is not None for one in self.events[seq:])


def stories(*verbs: str, at_least: int = 1, at_most: int = 40) -> st.SearchStrategy[Story]:
    """Return told stories of *verbs*, *at_least* to *at_most* moves long."""
    told = moves(*verbs, at_least=at_least, at_most=at_most)
    return st.builds(
        lambda window, policy, moves: Story(window, policy=policy).tell(moves),
        st.sampled_from(WINDOWS),
        st.sampled_from(sorted(PRESETS, reverse=True)),
        told,
    )


def whole_stories() -> st.SearchStrategy[Story]:
    """Return told stories with everything that can happen to a session, short ones and long ones."""
    verbs = (*SAID, *CHANGED, *BRANCHED, *MANAGED, *WORKED)
    return stories(*verbs) | stories(*verbs, at_least=25, at_most=50)


def long_story(seed: int, *, length: int, verbs: Sequence[str] = SAID) -> list[Move]:
    """Return *length* moves that *seed* alone determines."""
    chance = random.Random(seed)
    weighted = [verb for verb in verbs for _ in range(_TIMES.get(verb, 1))]
    return [Move(chance.choice(weighted), chance.randrange(60)) for _ in range(length)]
