"""``retold bench replay``, second part: one session of 650,000 tokens, weighed and rebuilt, beside others' ways.

Retold's worker compacts the session as it grows; every other tool is given the messages that the model is sent after
each turn, compactions included. Before anything is timed, each gives its state at the same turns, and those that differ
from Retold's do not race.
"""

import random
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct, structs

from retold.cli.bench_changes import State
from retold.cli.bench_figures import TIMES, Figure, limit, ratio_to
from retold.cli.bench_openhands import write_events
from retold.cli.bench_peers import PeerState
from retold.cli.bench_race import Difference, Timing, quiet, timing
from retold.cli.bench_recorders import EventSourcing, LangGraph, Recorder, installed, plain, settle
from retold.cli.bench_session import Conversation, as_json
from retold.cli.bench_store import SESSION, Kept, Weight, folder, keep, served, states, weigh, weigh_store
from retold.client import Session
from retold.events import Window
from retold.settings import Profile
from retold.wiring import connect

WINDOW: Final = Window(hard_limit=200_000)
"""The default: the session is compacted 20 times in 650,000 tokens."""

DISK: Final = "on disk"
BLOCKS: Final = "on disk, whole blocks"
RANDOM: Final = "state at a random turn, warm"
RANDOM_COLD: Final = "state at a random turn, new connection"
LAST: Final = "state at the end, warm"
SEARCHED: Final = "state at a random turn, looked for"
_CHECKED: Final = 12
_SEARCHES: Final = 3
"""How many rounds the search gets: it reads half of all checkpoints each time."""

_Load: TypeAlias = Callable[[Path], Recorder]

_PEERS: Final[dict[str, tuple[_Load, tuple[str, ...], str]]] = {
    "langgraph": (LangGraph, ("langgraph", "langgraph-checkpoint-sqlite"), "get_state by checkpoint_id"),
    "eventsourcing": (
        lambda path: EventSourcing(path, snapshots=False),
        ("eventsourcing",),
        "repository.get by version",
    ),
    "eventsourcing, snapshots": (
        lambda path: EventSourcing(path, snapshots=True),
        ("eventsourcing",),
        "the same, a snapshot every 50 events",
    ),
}


class Rebuilt(Struct, kw_only=True):
    """Hold what was found about the session.

    Attributes:
        raw_bytes: the messages as compact JSON, one after the other.
    """

    timings: list[Timing]
    differences: list[Difference]
    peers: list[PeerState]
    kept: Kept
    raw_bytes: int
    said_tokens: int


class _Peer(Struct):
    name: str
    recorder: Recorder
    files: Path


async def rebuild(conversation: Conversation, *, profile: Profile, rounds: int, seed: int) -> Rebuilt:
    """Weigh the session and time how it is rebuilt."""
    with folder() as directory:
        own = directory / "retold"
        async with served(own, profile) as url:
            kept = await keep(url, conversation, window=WINDOW, at_least=1)
            async with connect(url) as client:
                by_seq = await states(client, kept.key, kept.turn_seqs)
            sent = [by_seq[seq].as_chat() for seq in kept.turn_seqs]
        found = Rebuilt(
            timings=[],
            differences=[],
            peers=[],
            kept=kept,
            raw_bytes=conversation.size_bytes,
            said_tokens=conversation.tokens,
        )
        # The server has ended: all that it holds is in its files.
        _weighed(found, "retold", weigh_store(own))
        _weighed(found, "openhands", _openhands(directory / "openhands", conversation, sent))
        found.peers.append(PeerState(name="openhands", skipped="only weighed: files written as its source does"))
        peers = _peers(found, directory, sent)
        async with served(own, profile) as url:
            await _race(found, url, peers, sent, rounds=rounds, seed=seed)
        return found


def _peers(found: Rebuilt, directory: Path, sent: Sequence[State]) -> list[_Peer]:
    """Give each peer that is installed the session, weigh it, and take up those whose states are Retold's."""
    peers: list[_Peer] = []
    for name, (load, distributions, call) in _PEERS.items():
        state = installed(name, *distributions, call=call)
        found.peers.append(state)
        if state.skipped:
            continue
        files = directory / name.replace(", ", "-")
        files.mkdir()
        recorder = load(files)
        recorder.record(sent)
        settle(files)
        _weighed(found, name, weigh(files))
        if _agrees(found, name, recorder, sent):
            peers.append(_Peer(name, recorder, files))
    return peers


def _agrees(found: Rebuilt, name: str, recorder: Recorder, sent: Sequence[State]) -> bool:
    agrees = True
    for turn in sorted({round(nth * (len(sent) - 1) / (_CHECKED - 1)) for nth in range(_CHECKED)}):
        ours, theirs = _hash(sent[turn]), _hash(recorder.messages(recorder.state(turn)))
        if ours != theirs:
            agrees = False
            case = f"messages after turn {turn + 1}"
            found.differences.append(Difference(case=case, racer=name, ours=ours, theirs=theirs))
    return agrees


def _hash(messages: State) -> str:
    return sha256(b"".join(as_json(message) for message in plain(messages))).hexdigest()[:16]


async def _race(
    found: Rebuilt, url: str, peers: Sequence[_Peer], sent: Sequence[State], *, rounds: int, seed: int
) -> None:
    chance = random.Random(f"turns {seed}")  # noqa: S311 - the same for the same seed
    seqs, last = found.kept.turn_seqs, len(sent) - 1
    spent: dict[str, dict[str, list[float]]] = {case: {} for case in (RANDOM, RANDOM_COLD, LAST, SEARCHED)}

    def note(case: str, racer: str, seconds: float) -> None:
        spent[case].setdefault(racer, []).append(seconds * 1e3)

    async with connect(url) as client:
        session = await client.existing(SESSION)
        await session.history()
        for number in range(rounds):
            turn = chance.randrange(len(sent))
            note(RANDOM, "retold", await _history_s(found, session, seqs[turn], sent[turn]))
            note(LAST, "retold", await _history_s(found, session, seqs[last], sent[last]))
            async with connect(url) as fresh:
                start = time.perf_counter()
                again = await fresh.existing(SESSION)
                opened = time.perf_counter() - start
                note(RANDOM_COLD, "retold", opened + await _history_s(found, again, seqs[turn], sent[turn]))
            for peer in chance.sample(peers, len(peers)):
                note(RANDOM, peer.name, _state_s(peer.recorder.state, turn))
                note(LAST, peer.name, _state_s(peer.recorder.state, last))
                if number < _SEARCHES and isinstance(peer.recorder, LangGraph):
                    note(SEARCHED, peer.name, _state_s(peer.recorder.searched, turn))
    # A peer's own database is open all the time, and it is a file: its new connection is taken as the same.
    for peer in peers:
        spent[RANDOM_COLD][peer.name] = spent[RANDOM][peer.name]
        peer.recorder.close()
    spent[SEARCHED]["retold"] = spent[RANDOM]["retold"]
    for case, racers in spent.items():
        found.timings.extend(timing(case, racer, values, unit="ms") for racer, values in racers.items())


async def _history_s(found: Rebuilt, session: Session, seq: int, sent: State) -> float:
    with quiet():
        start = time.perf_counter()
        history = await session.history(at=seq)
        spent = time.perf_counter() - start
    ours, given = _hash(sent), _hash(history.as_chat())
    if ours != given:
        found.differences.append(
            Difference(case=f"history at {seq}", racer="retold, replayed", ours=ours, theirs=given)
        )
    return spent


def _state_s(state: Callable[[int], object], turn: int) -> float:
    with quiet():
        start = time.perf_counter()
        state(turn)
        return time.perf_counter() - start


def _openhands(files: Path, conversation: Conversation, sent: Sequence[State]) -> Weight:
    write_events(files, conversation.turns, sent)
    return weigh(files)


def _weighed(found: Rebuilt, racer: str, weight: Weight) -> None:
    for case, size in ((DISK, weight.size_bytes), (BLOCKS, weight.allocated_bytes)):
        found.timings.append(timing(case, racer, [size / 1e6], unit="MB"))


RATIOS: Final = (
    ("rebuilt at a random turn, to LangGraph by checkpoint id", RANDOM, "langgraph"),
    ("the same, to LangGraph looking for the checkpoint", SEARCHED, "langgraph"),
    ("the same, to pyeventsourcing", RANDOM, "eventsourcing"),
    ("the same, to pyeventsourcing with snapshots", RANDOM, "eventsourcing, snapshots"),
    ("the same, Retold on a new connection, to LangGraph by id", RANDOM_COLD, "langgraph"),
    ("rebuilt at the end, to LangGraph by id", LAST, "langgraph"),
    ("the same, to pyeventsourcing with snapshots", LAST, "eventsourcing, snapshots"),
)
"""What is asked to be ten times as fast: its name, the case, and the peer."""


def figures(found: Rebuilt) -> list[Figure]:
    """Return the figures that are asked for beside what was measured."""
    weights = {shown.racer: shown.median * 1e6 / found.raw_bytes for shown in found.timings if shown.case == DISK}
    others = ", ".join(f"{name} {share:.3g}{TIMES}" for name, share in weights.items() if name != "retold")
    name = f"disk, {found.kept.compactions} compactions, beside the messages' JSON"
    disk = limit(name, weights["retold"], TIMES, required=1.3, aim=1.1)
    return [
        structs.replace(disk, beside=others),
        *(ratio_to(name, found.timings, case, peer, required=10) for name, case, peer in RATIOS),
    ]
