"""``retold bench savings``: what each preset sends, request by request, beside sending everything and beside peers.

The question is what an agent pays: how many tokens its requests take in all, and how much of each begins as the one
before did, so that the provider's prompt cache holds it. All make the same requests, told the same items in chat form
and counted by one vocabulary. Nothing is timed, so the same input gives the same figures.

A made session of many turns and the recorded ones, each under windows of three kinds: one of today's models, a small
one, and a third of the session's own size, which every session outgrows.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias, get_args

from msgspec import Struct, structs
from rich.table import Table

from retold.cli.bench_dialogues import Dialogue, made_dialogue, shared_dialogues
from retold.cli.bench_figures import Figure, verdict
from retold.cli.bench_langchain import LangChain
from retold.cli.bench_peers import PeerState
from retold.cli.bench_recorders import installed
from retold.cli.bench_senders import SUMMARY_TOKENS, Everything, Retold, Sender, Sent, Tail, as_sent, tokens_of
from retold.cli.options import console, print_json, print_table
from retold.events import Policy, Window
from retold.fold import DUE_SHARE, PRIMING

SAVED_REQUIRED: Final = 70.0
LARGE: Final = Window(hard_limit=200_000)
SMALL: Final = Window(hard_limit=32_000)
SHARE_TOKENS_MIN: Final = 9_000
"""Sessions of this size and more are told under a third of it, too: less than 3,000 tokens is no window."""
CACHED_PRICE: Final = 0.1
"""What a cached token costs beside another, at Anthropic, OpenAI and DeepSeek alike."""

EVERYTHING: Final = "everything"
CODEX: Final = ("codex", "codex, acts where the ladder does")
LANGCHAIN: Final = ("langchain, 20 messages kept", "langchain, 0.85 and 0.10")
_COLOURS: Final = {"aim met": "green", "required met": "green", "missed": "red", "not measured": "yellow"}

MakeSender: TypeAlias = Callable[[Window], Sender]


class Asked(Struct, frozen=True, kw_only=True):
    """Hold the options of the command."""

    data: Path
    turns: int
    as_json: bool


class Tally(Struct, frozen=True):
    """Hold what the requests of one session took, one element a request.

    Attributes:
        tokens: the size of each.
        body_bytes: its length as JSON.
        reused_bytes: how many of them, from the first on, are those of the request before.
    """

    tokens: list[int]
    body_bytes: list[int]
    reused_bytes: list[int]
    compactions: int
    input_limit: int


class Row(Struct, frozen=True, kw_only=True):
    """Hold what one way of sending came to, over all requests of a part.

    Attributes:
        saved_percent: of the tokens that everything takes.
        reused_percent: reused bytes to all, of all requests but each session's first; *reused_mean_percent*: the mean
            of each request's share.
        resent_bytes: what was not reused: what is new, and what stood behind a change.
        paid_percent: what is paid where a reused token costs a tenth, to what everything costs so.
        worst_percent: the largest request, of what the window takes.
    """

    sender: str
    tokens: int
    saved_percent: float
    reused_percent: float
    reused_mean_percent: float
    resent_bytes: int
    paid_percent: float
    compactions: int
    median_tokens: int
    worst_percent: float


class Part(Struct, frozen=True, kw_only=True):
    """Hold one set of sessions under one kind of window."""

    name: str
    sessions: int
    requests: int
    rows: list[Row]


class Report(Struct, frozen=True, kw_only=True):
    """Hold everything that was measured."""

    parts: list[Part]
    figures: list[Figure]
    peers: list[PeerState]
    notes: list[str]


def run_savings(asked: Asked) -> None:
    """Run and show ``bench savings``.

    Raises:
        InputError: if *asked.data* is no folder with transcripts.
    """
    peer = installed("langchain", "langchain", call="SummarizationMiddleware.before_model")
    known = senders(with_langchain=not peer.skipped)
    made = [made_dialogue(asked.turns)]
    shared = shared_dialogues(asked.data) if asked.data.is_dir() else []
    parts = [_part(*one, known) for one in _sets(made, shared)]
    notes = [
        f"No model is called: LangChain is given a summary of {SUMMARY_TOKENS:,} tokens, Retold extracts its own.",
        "The agent preset is for a model that compresses by itself; here none does, and it acts at the limit alone.",
    ]
    if not shared:
        notes.append(f"The recorded sessions were left out: no folder {asked.data}.")
    found = Report(parts=parts, figures=_figures(parts, asked.turns), peers=[peer], notes=notes)
    print_json(found) if asked.as_json else _print(found)


def senders(*, with_langchain: bool) -> dict[str, MakeSender]:
    """Return every way of sending, by name: everything, the presets, Codex where the ladder acts, LangChain, the tail.

    LangChain's trigger has no default: it is told to act where the ladder does, and keeps its default of 20 messages;
    and as deepagents sets it, at 0.85 of the window down to 0.10.
    """
    found: dict[str, MakeSender] = {EVERYTHING: lambda _: Everything()}
    found |= {policy: partial(Retold, policy) for policy in get_args(Policy)}
    found[CODEX[1]] = lambda window: Retold("codex", structs.replace(window, pre_rot=_due(window)))
    if with_langchain:
        found[LANGCHAIN[0]] = lambda window: LangChain(
            trigger=("tokens", _due(window)), keep=("messages", 20), window_tokens=window.input_limit
        )
        found[LANGCHAIN[1]] = lambda window: LangChain(
            trigger=("fraction", 0.85), keep=("fraction", 0.10), window_tokens=window.input_limit
        )
    found["the newest that fit"] = lambda window: Tail(window.input_limit)
    return found


def tell(dialogue: Dialogue, sender: Sender, window: Window) -> Tally:
    """Return what the requests of *dialogue* take as *sender* makes them. O(bytes of all requests)."""
    requests: list[list[Sent]] = []
    for step in dialogue.steps:
        sender.hear(step)
        requests.append(sender.request())
    return Tally(
        tokens=[tokens_of(request) + PRIMING for request in requests],
        body_bytes=[sum(len(sent.body) + 1 for sent in request) for request in requests],
        reused_bytes=[0, *(reused(before, after) for before, after in pairwise(requests))],
        compactions=sender.compactions,
        input_limit=window.input_limit,
    )


def reused(before: Sequence[Sent], after: Sequence[Sent]) -> int:
    """Return how many leading bytes two requests share, a comma after each whole message."""
    count = 0
    for one, other in zip(before, after, strict=False):
        if one.body != other.body:
            return count + _common(one.body, other.body)
        count += len(one.body) + 1
    return count


def row(sender: str, tallies: Sequence[Tally], everything: Sequence[Tally]) -> Row:
    """Return what *tallies*, one a session, come to beside those of *everything*."""
    later = [
        (taken, used)
        for tally in tallies
        for taken, used in zip(tally.body_bytes[1:], tally.reused_bytes[1:], strict=True)
    ]
    taken_bytes, used_bytes = sum(taken for taken, _ in later), sum(used for _, used in later)
    tokens = sum(sum(tally.tokens) for tally in tallies)
    return Row(
        sender=sender,
        tokens=tokens,
        saved_percent=100 - 100 * tokens / sum(sum(tally.tokens) for tally in everything),
        reused_percent=100 * used_bytes / max(1, taken_bytes),
        reused_mean_percent=100 * sum(used / taken for taken, used in later) / max(1, len(later)),
        resent_bytes=taken_bytes - used_bytes,
        paid_percent=100 * sum(map(_paid, tallies)) / sum(map(_paid, everything)),
        compactions=sum(tally.compactions for tally in tallies),
        median_tokens=int(median(size for tally in tallies for size in tally.tokens)),
        worst_percent=max(100 * max(tally.tokens) / tally.input_limit for tally in tallies),
    )


def _due(window: Window) -> int:
    return int(window.pre_rot_tokens * DUE_SHARE)


def _common(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _paid(tally: Tally) -> float:
    shares = (used / taken for used, taken in zip(tally.reused_bytes, tally.body_bytes, strict=True))
    return sum(size * (1 - (1 - CACHED_PRICE) * share) for size, share in zip(tally.tokens, shares, strict=True))


_Set: TypeAlias = tuple[str, list[tuple[Dialogue, Window]]]


def _sets(made: Sequence[Dialogue], shared: Sequence[Dialogue]) -> Iterator[_Set]:
    for window in (LARGE, SMALL):
        yield f"{made[0].name}, window {window.hard_limit:,}", [(one, window) for one in made]
    if not shared:
        return
    for window in (LARGE, SMALL):
        yield f"{_RECORDED}, window {window.hard_limit:,}", [(one, window) for one in shared]
    sizes = [(one, tokens_of(as_sent([item for step in one.steps for item in step]))) for one in shared]
    thirds = [(one, Window(hard_limit=size // 3)) for one, size in sizes if size >= SHARE_TOKENS_MIN]
    if thirds:
        yield f"{_RECORDED} from {SHARE_TOKENS_MIN:,} tokens on, window a third of each", thirds


_RECORDED: Final = "recorded sessions"


def _part(name: str, told: Sequence[tuple[Dialogue, Window]], known: dict[str, MakeSender]) -> Part:
    tallies = {
        sender: [tell(dialogue, make(window), window) for dialogue, window in told] for sender, make in known.items()
    }
    rows = [row(sender, found, tallies[EVERYTHING]) for sender, found in tallies.items()]
    requests = sum(len(dialogue.steps) for dialogue, _ in told)
    return Part(name=name, sessions=len(told), requests=requests, rows=rows)


# ---- figures and views ----------------------------------------------------------------------------------------------


def _figures(parts: Sequence[Part], turns: int) -> list[Figure]:
    found = [_saved(part) for part in parts if part.name.startswith(_RECORDED)]
    for part in parts:
        if part.name.startswith("made"):
            found += [_ahead(part, peers, turns, "mean of the requests") for peers in (CODEX, LANGCHAIN)]
            found += [_ahead(part, peers, turns, "of all bytes") for peers in (CODEX, LANGCHAIN)]
    return found


def _of(part: Part, sender: str) -> Row | None:
    return next((row for row in part.rows if row.sender == sender), None)


def _saved(part: Part) -> Figure:
    own = _of(part, "ladder")
    assert own is not None, "every part has the ladder"
    met = own.saved_percent >= SAVED_REQUIRED
    return Figure(
        name=f"tokens saved by the ladder, {part.name}",
        required=f"≥ {SAVED_REQUIRED:g} %",
        aim=f"≥ {SAVED_REQUIRED:g} %",
        measured=own.saved_percent,
        unit="%",
        verdict=verdict((met, met)),
    )


def _ahead(part: Part, peers: Sequence[str], turns: int, how: str) -> Figure:
    """Return the ladder's reuse beside the best of *peers*."""

    def share(found: Row) -> float:
        return found.reused_mean_percent if how.startswith("mean") else found.reused_percent

    own = _of(part, "ladder")
    assert own is not None, "every part has the ladder"
    others = [(share(found), name) for name in peers if (found := _of(part, name)) is not None]
    best = max(others, default=None)
    met = None if best is None else share(own) > best[0]
    name = peers[0].partition(",")[0]
    return Figure(
        name=f"prefix reused over {turns} turns, {part.name.rpartition(', ')[2]}, {how}, to {name}",
        required=f"> {name}'s",
        aim=f"> {name}'s",
        measured=share(own),
        unit="%",
        verdict=verdict(None if met is None else (met, met)),
        beside="" if best is None else f"{best[0]:.2f} %, {best[1]}",
    )


def _print(found: Report) -> None:
    out = console()
    for part in found.parts:
        out.print(f"\n{part.name}: {part.sessions} sessions, {part.requests:,} requests")
        heads = ("tokens sent", "saved", "prefix reused", "mean", "resent", "paid", "compactions", "median", "largest")
        table = Table("", box=None, pad_edge=False)
        for head in heads:
            table.add_column(head, justify="right")
        for one in part.rows:
            table.add_row(one.sender, *_cells(one))
        print_table(table)
    table = Table("\nfigure", "\nrequired", "\nmeasured", "", box=None, pad_edge=False)
    for figure in found.figures:
        measured = "" if figure.measured is None else f"{figure.measured:.2f} {figure.unit}"
        detail = f" ({figure.beside})" if figure.beside else ""
        table.add_row(figure.name, figure.required, measured + detail, figure.verdict, style=_COLOURS[figure.verdict])
    print_table(table)
    for peer in found.peers:
        out.print(f"{peer.name} {peer.version} {peer.skipped or '(' + peer.call + ')'}")
    for note in found.notes:
        out.print(note)


def _cells(one: Row) -> tuple[str, ...]:
    shares = (f"{one.reused_percent:.2f}%", f"{one.reused_mean_percent:.2f}%")
    sizes = (f"{one.compactions}", f"{one.median_tokens:,}", f"{one.worst_percent:.0f}%")
    sent, saved = f"{one.tokens / 1e6:,.2f} M", f"{one.saved_percent:.1f}%"
    return sent, saved, *shares, f"{one.resent_bytes / 1e6:.2f} MB", f"{one.paid_percent:.1f}%", *sizes
