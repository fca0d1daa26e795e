"""Models are slow, dear and fail: none of it holds up other sessions, nor its own for longer than was said."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from tests.laws.lives import user
from tests.laws.logs import HandClock, outcome, read, write
from tests.summarizers.conversations import WINDOW, asking, compacted, conversation
from tests.summarizers.provider import provider

from retold.events import ItemAppended, SessionKey, SessionOpened, SummaryField, SummaryWritten
from retold.fold import Context
from retold.log import MemoryLog
from retold.policy import SummarizeSpan, Summary
from retold.worker import Limits, Worker
from retold.worker.models import BUDGET_S, ModelPlaces

_LONG_S = 600.0


class _Model:
    """A model that answers when, and as, a test says; it counts who asks."""

    name = "model"

    def __init__(self, answer: Callable[[Context], Coroutine[None, None, None]]) -> None:
        """Await what *answer* gives before each answer."""
        self.asked: list[SessionKey] = []
        self.at_once = self.at_once_max = 0
        self._answer = answer

    async def summarize(self, context: Context, _: SummarizeSpan) -> Summary:
        """Count, wait, and answer."""
        self.asked.append(context.key)
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await self._answer(context)
        finally:
            self.at_once -= 1
        return Summary(fields=(SummaryField(name="goal", lines=("Mend it.",)),), summarizer=self.name)


async def _at_once(_: Context) -> None:
    await asyncio.sleep(0)


async def _never(_: Context) -> None:
    await asyncio.get_running_loop().create_future()


async def _filled(*keys: SessionKey, steps: int = 30) -> MemoryLog:
    """Return a log in which each of *keys* is due for a summary."""
    log, clock = MemoryLog(), HandClock()
    for key in keys:
        await write(log, key, [SessionOpened(window=WINDOW), *map(ItemAppended, conversation(steps))], clock=clock)
    return log


def _keys(tenant: str, many: int) -> list[SessionKey]:
    return [SessionKey(tenant, f"s{nth}") for nth in range(many)]


async def _written(log: MemoryLog, key: SessionKey) -> list[SummaryWritten]:
    return [one.event.data for one in await read(log, key) if isinstance(one.event.data, SummaryWritten)]


@pytest.mark.parametrize("script", ["hang", "drip", "hour", "429", "500", "garbage", "empty"])
def test_whatever_a_model_does_the_worker_s_deadline_holds(script: str) -> None:
    """With a limit of a fraction of a second, my history is there long before the model's own patience ends."""

    async def run() -> list[SummaryWritten]:
        async with asyncio.timeout(30), provider(script) as fake, asking("chat", fake, deadline_s=_LONG_S) as model:
            return (await compacted(model, limits=Limits(summary_timeout_s=0.5)))[1]

    written = asyncio.run(run())
    assert {one.summarizer for one in written} == {"extractive"}
    assert all("model-1: " in one.instead_of for one in written)


def test_a_model_that_cannot_be_stopped_is_left_behind() -> None:
    """A summarizer that goes on after it was cancelled costs me its time limit and a moment, not my history."""

    async def stubborn(_: Context) -> None:
        while True:
            try:
                await asyncio.sleep(_LONG_S)
            except asyncio.CancelledError:
                await asyncio.sleep(3)
                raise

    async def run() -> None:
        async with asyncio.timeout(30):
            _, written = await compacted(_Model(stubborn), limits=Limits(summary_timeout_s=0.01))
        assert {one.instead_of for one in written} == {"model: TimeoutError"}

    asyncio.run(run())


def test_sessions_that_wait_for_a_model_hold_up_no_other() -> None:
    """All sessions that have places wait for a model that never answers, and another one is brought up to date."""

    async def run() -> None:
        waiting = _keys("one", 14)
        log = await _filled(*waiting)
        model = _Model(_never)
        worker = Worker(log, HandClock("worker"), model, limits=Limits(summary_timeout_s=_LONG_S, models_at_once=4))
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(60):
            while model.at_once < 4:  # noqa: ASYNC110 - the model tells by its state alone
                await asyncio.sleep(0)
            other = SessionKey("one", "other")
            await write(log, other, [SessionOpened(window=WINDOW), *[user("and on")] * 70], clock=HandClock("later"))
            while (await log.load_snapshot(other)) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
        assert model.at_once_max == 4
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())


def test_what_an_agent_says_while_a_model_writes_follows_the_summary() -> None:
    """I go on talking while a model writes, and its summary is put in place with what I said behind it."""
    key = SessionKey("one", "talking")

    async def run() -> None:
        log = await _filled(key)
        more = [ItemAppended(item=item) for item in conversation(1)[-1:]]

        async def meanwhile(_: Context) -> None:
            for nth in range(5):
                await write(log, key, more, clock=HandClock(f"meanwhile{nth}"))

        await Worker(log, HandClock("worker"), _Model(meanwhile)).drain()
        assert [one.summarizer for one in await _written(log, key)][:1] == ["model"]
        assert (await outcome(log, key)).version > 0

    asyncio.run(run())


def test_tenants_take_turns_at_the_model() -> None:
    """However many sessions of another tenant wait for the model, mine is the next but one."""

    async def run() -> None:
        log = await _filled(*_keys("noisy", 12), *_keys("quiet", 1))
        model = _Model(_at_once)
        await Worker(log, HandClock("worker"), model, limits=Limits(models_at_once=1)).drain()
        assert model.at_once_max == 1
        assert [key.tenant for key in model.asked].index("quiet") <= 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(tenant_models_at_once=1), "models at once"),
        (Limits(tenant_calls_a_minute=1), "calls a minute"),
        (Limits(tenant_tokens_a_minute=6_000), "tokens a minute"),
    ],
    ids=["at-once", "calls", "tokens"],
)
def test_what_is_over_a_tenant_s_budget_is_extracted_at_once(limits: Limits, why: str) -> None:
    """Beyond my budget, summaries are extracted, and say so; another tenant's model writes on."""

    async def run() -> None:
        noisy, quiet = _keys("noisy", 5), _keys("quiet", 1)
        log = await _filled(*noisy, *quiet)
        await Worker(log, HandClock("worker"), _Model(_at_once), limits=limits).drain()
        first = [(await _written(log, key))[0] for key in noisy]
        assert [one.instead_of for one in first].count("") == 1
        assert {one.instead_of for one in first} == {"", f"model: over budget ({why})"}
        assert {one.summarizer for one in first if one.instead_of} == {"extractive"}
        assert [one.summarizer for one in await _written(log, quiet[0])][:1] == ["model"]

    asyncio.run(run())


def test_a_budget_comes_back_after_its_time() -> None:
    """A minute after it was spent, I may ask the model again; what the provider charged counts, not our guess."""
    now_s = 1_000.0

    async def run() -> None:
        nonlocal now_s
        limits = Limits(tenant_calls_a_minute=2, tenant_tokens_a_minute=1_000)
        places = ModelPlaces(limits, now=lambda: now_s)
        assert places.refusal("one", tokens=1_001) == "tokens a minute"
        async with places.place("one", tokens=900) as booking:
            assert places.refusal("one", tokens=200) == "tokens a minute"
            booking.tokens = 100
        assert places.refusal("one", tokens=900) is None
        async with places.place("one", tokens=10):
            pass
        assert places.refusal("one", tokens=0) == "calls a minute"
        assert places.refusal("two", tokens=0) is None
        now_s += BUDGET_S
        assert places.refusal("one", tokens=1_000) is None

    asyncio.run(run())


def test_who_is_cancelled_while_it_waits_for_a_model_takes_no_place() -> None:
    """A session that is given up while it waits leaves the model to the next one."""

    async def run() -> None:
        places, told = ModelPlaces(Limits(models_at_once=1)), list[str]()
        done = asyncio.Event()

        async def ask(name: str) -> None:
            async with places.place(name, tokens=0):
                told.append(name)
                await done.wait()

        tasks = [asyncio.create_task(ask(name)) for name in ("first", "second", "third")]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        done.set()
        await asyncio.wait(tasks)
        assert told == ["first", "third"]

    asyncio.run(run())
