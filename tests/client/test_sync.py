"""An agent without asyncio: the same calls, each done when it returns, from any thread."""

import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.laws.texts import PROSE

import retold
from retold import sync
from retold.client import Client, Session
from retold.sync import SyncClient, SyncSession

pytestmark = pytest.mark.slow

_WINDOW = retold.Window(hard_limit=2_000, pre_rot=1_500)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncClient]:
    """Give a client of an embedded server of its own."""
    with sync.connect(data_dir=tmp_path_factory.mktemp("store"), profile="fast") as client:
        yield client


def _asked(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"Question {number}: {PROSE}"}


@pytest.mark.parametrize(("blocking", "awaited"), [(SyncSession, Session), (SyncClient, Client)])
def test_whatever_can_be_awaited_can_be_called(blocking: type, awaited: type) -> None:
    """No method of the asynchronous side is missing here, and none takes other arguments."""
    public = {name: method for name, method in inspect.getmembers(awaited, inspect.isfunction) if name[0] != "_"}
    assert public
    for name, method in public.items():
        if name == "fork" and awaited is Client:
            continue  # it is that of the session
        mine = inspect.signature(getattr(blocking, name)).parameters
        assert list(mine) == list(inspect.signature(method).parameters), name


def test_a_session_is_used_as_with_asyncio(client: SyncClient) -> None:
    """I append, wait for the worker, look back, fork, compare, play it again and leave."""
    session = client.session("s", window=_WINDOW)
    with client.worker():
        seq = session.append_many([_asked(number) for number in range(90)])
        history = session.history(at_least=seq, timeout=60)
    assert history.version > 0
    assert not history.is_local
    assert history.tokens <= _WINDOW.input_limit
    assert next(session.watch()).version >= history.version
    assert len(list(session.replay(to=5))) == 5
    assert session.history(at=3).as_chat() == [_asked(0), _asked(1)]
    forked = session.fork("t", at=3)
    assert forked.history().as_chat() == [_asked(0), _asked(1)]
    assert not session.diff(3, other=forked).removed
    assert {"s", "t"} <= {end.key.session for end in client.sessions()}
    assert client.existing("t").key == forked.key
    with pytest.raises(retold.ConflictError):
        session.append(_asked(0), expected=1)


def test_threads_share_a_client(client: SyncClient) -> None:
    """Eight threads append to eight sessions at once; each finds what it wrote."""

    def work(number: int) -> int:
        session = client.session(f"thread-{number}")
        for turn in range(5):
            session.append(_asked(turn))
        return len(session.history().items)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [5] * 8


def test_what_is_not_read_to_its_end_leaves_nothing_running(client: SyncClient) -> None:
    """I stop watching after one history: the log's consumer is gone, and so is the thread after the block."""
    session = client.session("watched")
    session.append(_asked(1))
    watching = session.replay(follow=True)
    assert next(watching).seq == 1
    watching.close()
    assert list(watching) == []


def test_the_thread_ends_with_the_block(tmp_path: Path) -> None:
    """Nothing runs on behind me."""
    before = threading.active_count()
    with sync.connect(data_dir=tmp_path, profile="fast") as client:
        client.session("s")
        assert threading.active_count() > before
    assert threading.active_count() == before
