"""A fleet of agents that talk without end while servers are killed, and know what they were promised.

Rules:
- An agent does what the documentation asks of it: where an append fails because the log is away, it sends the same
  drafts again. So in the end everything that it said is there, and what was acknowledged stands where it was said to.
- Working again means that an append which was sent after the fault was acknowledged, to every agent, and that a worker
  has published the history of a session that such an append is part of.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from statistics import median
from typing import TypeVar

from msgspec import Struct, field, structs
from tests.chaos.crew import SHARE, End, calm, differing, end_of, settled
from tests.laws.logs import HandClock, read
from tests.laws.small import work
from tests.laws.texts import OUTPUT

from retold.errors import UnavailableError
from retold.events import Draft, Fact, Item, ItemAppended, Recorded, SessionKey, SessionOpened, ToolCall, Window
from retold.log.drafting import drafts_of
from retold.ports import Log, Row

WINDOW = Window(hard_limit=8_000, pre_rot=5_000, reserve=800)
RESULT = OUTPUT[:1_500]
"""What a tool gives: some 400 tokens, so that a session is compacted every ten turns."""
PAUSE_S = 0.2 if SHARE == 1 else 0.05
"""Between two rounds: a worker that falls behind publishes when it has caught up, which is not what is measured."""
POLL_S = 0.02
TURNS_A_ROUND = 2
"""How many turns an agent says without a pause."""
TURNS_MAX = 24
"""How long a session is: what the user says stays, so that one without end would outgrow its window."""

T = TypeVar("T")
Append = list[Draft]


class Promise(Struct, frozen=True):
    """Hold what an acknowledgement said: of which session, and where the event stands; 0 where it did not say."""

    key: SessionKey
    seq: int


class Agent:
    """Say something in every session of its own, again and again.

    Attributes:
        keys: the sessions that it talks in now.
        said: what was acknowledged of each session, in order.
        promised: every acknowledged event, by id.
        refused: how often an append failed, and was made again.
        safe_s: when the newest acknowledged append was first sent, on the loop's clock.
    """

    def __init__(self, name: str, log: Log, *, at_once: int) -> None:
        """Talk in one session append by append, or in several *at_once* by `append_rows`, and then in others."""
        self.said: dict[SessionKey, list[Fact]] = {}
        self.promised: dict[str, Promise] = {}
        self.refused = 0
        self.safe_s = 0.0
        self._name = name
        self._log = log
        self._at_once = at_once
        self._clock = HandClock(name)
        self.keys: list[SessionKey] = []
        self._turn = 0

    async def talk(self, is_over: asyncio.Event) -> None:
        """Talk until *is_over*."""
        while not is_over.is_set():
            if self._turn % TURNS_MAX == 0:
                await self._open()
            await self._say({key: self._turns() for key in self.keys})
            self._turn += TURNS_A_ROUND
            await asyncio.sleep(PAUSE_S)

    async def _open(self) -> None:
        """Go on in new sessions."""
        first = len(self.said)
        self.keys = [SessionKey("chaos", f"{self._name}-{first + number}") for number in range(self._at_once)]
        self.said |= {key: [] for key in self.keys}
        opening = [SessionOpened(window=WINDOW)]
        await self._say({key: [self._drafts(opening)] for key in self.keys})

    def _drafts(self, facts: Sequence[Fact]) -> Append:
        return drafts_of(facts, self._clock, actor="agent")

    def _turns(self) -> list[Append]:
        """Return the appends of some turns: single events, and a call with its result as one."""
        items = work(TURNS_A_ROUND, first=self._turn, text=RESULT)
        return [self._drafts([ItemAppended(item=item) for item in together]) for together in _together(items)]

    async def _say(self, appends: Mapping[SessionKey, Sequence[Append]]) -> None:
        if len(appends) > 1:
            await self._say_in_all(appends)
            return
        [(key, told)] = appends.items()
        for drafts in told:
            sent_s = _now()
            recorded = await self._appended(key, drafts)
            self._note(key, drafts, sent_s=sent_s, seqs=[one.event.seq for one in recorded])

    async def _appended(self, key: SessionKey, drafts: Append) -> list[Recorded]:
        while True:
            try:
                return await self._log.append(key, drafts)
            except UnavailableError:
                self.refused += 1
                await asyncio.sleep(PAUSE_S)

    async def _say_in_all(self, appends: Mapping[SessionKey, Sequence[Append]]) -> None:
        left = {key: list(told) for key, told in appends.items()}
        while left:
            sent_s = _now()
            for row, end in zip(left, await self._log.append_rows(_rows(left)), strict=True):
                for drafts in left[row][: end.appended]:
                    self._note(row, drafts, sent_s=sent_s, seqs=[0] * len(drafts))
                del left[row][: end.appended]
                assert end.error is None or isinstance(end.error, UnavailableError), end.error
                self.refused += end.error is not None
            left = {key: told for key, told in left.items() if told}
            await asyncio.sleep(PAUSE_S if left else 0)

    def _note(self, key: SessionKey, drafts: Append, *, sent_s: float, seqs: Sequence[int]) -> None:
        self.said[key] += [draft.data for draft in drafts]
        self.promised |= {draft.id: Promise(key, seq) for draft, seq in zip(drafts, seqs, strict=True)}
        self.safe_s = sent_s


def _rows(appends: Mapping[SessionKey, Sequence[Append]]) -> list[Row]:
    return [Row(key=key, appends=told) for key, told in appends.items()]


def _together(items: Sequence[Item]) -> list[list[Item]]:
    """Return *items* as an agent appends them: a call with what follows it, its result."""
    found: list[list[Item]] = []
    for item in items:
        if found and isinstance(found[-1][-1], ToolCall):
            found[-1].append(item)
        else:
            found.append([item])
    return found


class Counts(Struct):
    """Count what happened, for who runs the soak.

    Attributes:
        acknowledged: how many events agents were told were stored.
        refused: how many appends failed, and were made again.
        lost: how many acknowledged events are not there, or not where they were said to be.
        duplicated: how many events are there twice.
        wrong: how many sessions are not as if nobody had been killed.
        appends_s: the times until every agent was acknowledged an append again.
        worker_s: the times until a worker had published again.
        leader_s: the times until a cluster had another leader.
    """

    kills: int = 0
    sessions: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    appends_s: list[float] = field(default_factory=list)
    worker_s: list[float] = field(default_factory=list)
    leader_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """Tell all counts, and of times the median and the longest."""
        told = structs.asdict(self)
        times = {
            name: f"{median(some):.1f}, at most {max(some):.1f}" for name, some in told.items() if _are_times(some)
        }
        return ", ".join(f"{name} {value}" for name, value in (told | times).items() if value != [])


def _are_times(value: object) -> bool:
    return isinstance(value, list) and bool(value)


class Fleet:
    """Hold agents that talk."""

    def __init__(self, log: Log, agents: Sequence[Agent]) -> None:
        """Watch *agents*, who talk in *log*."""
        self._log = log
        self._agents = agents
        self.counts = Counts()

    @property
    def refused(self) -> int:
        """Return how many appends failed, and were made again."""
        return sum(agent.refused for agent in self._agents)

    async def works(self, *, since_s: float) -> None:
        """Wait until all work on what came after *since_s*, and count how long that was."""
        ends = {key: (await _patiently(partial(self._log.head, key))).seq for key in self._keys()}
        async with asyncio.TaskGroup() as tasks:
            appending = tasks.create_task(self._append(since_s))
            working = tasks.create_task(self._publish(ends))
        self.counts.appends_s.append(appending.result() - since_s)
        self.counts.worker_s.append(working.result() - since_s)

    def _keys(self) -> list[SessionKey]:
        return [key for agent in self._agents for key in agent.keys]

    async def _append(self, since_s: float) -> float:
        while any(agent.safe_s <= since_s for agent in self._agents):  # noqa: ASYNC110 - they run beside, not in steps
            await asyncio.sleep(POLL_S)
        return _now()

    async def _publish(self, ends: Mapping[SessionKey, int]) -> float:
        while True:
            for key in self._keys():
                published = await _patiently(partial(self._log.load_history, key))
                if published is not None and published.base_seq > ends.get(key, 0):
                    return _now()
            await asyncio.sleep(POLL_S)

    async def compare(self, *, effects: bool = True) -> None:
        """Wait until all is compacted, and hold what is there against what was said and promised.

        Without *effects* what workers recorded may hold more than what came of it: parts that a full server stored.
        """
        counts = self.counts
        expected = await calm({key: facts for agent in self._agents for key, facts in agent.said.items()})
        await settled(self._log, expected)
        ends = {key: await end_of(self._log, key) for key in expected}
        if not effects:
            ends, expected = _without_effects(ends), _without_effects(expected)
        counts.sessions = len(expected)
        counts.refused = self.refused
        counts.acknowledged = sum(len(agent.promised) for agent in self._agents)
        await self._count_events(list(expected))
        counts.wrong = sum(ends[key] != expected[key] for key in expected)
        assert (counts.lost, counts.duplicated, counts.wrong) == (0, 0, 0), _first_wrong(ends, expected)

    async def _count_events(self, keys: Sequence[SessionKey]) -> None:
        found: dict[str, Promise] = {}
        events = 0
        for key in keys:
            for recorded in await read(self._log, key):
                found[recorded.event.id] = Promise(key, recorded.event.seq)
                events += 1
        self.counts.duplicated = events - len(found)
        promised = {name: one for agent in self._agents for name, one in agent.promised.items()}
        self.counts.lost = sum(not _kept(one, found.get(name)) for name, one in promised.items())


def _without_effects(ends: Mapping[SessionKey, End]) -> dict[SessionKey, End]:
    return {key: structs.replace(end, effects=b"") for key, end in ends.items()}


def _kept(promise: Promise, found: Promise | None) -> bool:
    return found is not None and found.key == promise.key and promise.seq in (0, found.seq)


def _first_wrong(ends: Mapping[SessionKey, End], expected: Mapping[SessionKey, End]) -> str:
    """Return where a session differs, without what it says."""
    for key, end in expected.items():
        if ends[key] != end:
            return f"{key.session}: {differing(ends[key], end)}"
    return "no session is wrong"


@asynccontextmanager
async def talking(log: Log, *, agents: int, sessions: int) -> AsyncIterator[Fleet]:
    """Let so many agents talk, and one in so many *sessions* at once; at the end of the block they end their turns."""
    talkers = [Agent(f"agent{number}", log, at_once=1) for number in range(agents)]
    talkers.append(Agent("many", log, at_once=sessions))
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for agent in talkers:
            tasks.create_task(agent.talk(is_over))
        yield Fleet(log, talkers)
        is_over.set()


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer."""
    while True:
        with suppress(UnavailableError):
            return await ask()
        await asyncio.sleep(POLL_S)


def _now() -> float:
    return asyncio.get_running_loop().time()
