"""Backups hold what the log holds, byte for byte; what is wrong with one is named; nothing is overwritten."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.lives import long_life, said
from tests.laws.logs import HandClock, read, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, long_story

from retold.backup import Backup, Written, open_source, prove, restore
from retold.backup import write as back_up
from retold.backup.files import SessionFile
from retold.errors import CorruptLogError, InputError, SchemaError, UnavailableError
from retold.events import Fact, Head, SessionErased, SessionKey, SessionOpened, Window, kept
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import verify


async def lived(facts: Sequence[Fact] | None = None) -> MemoryLog:
    """Return a log with one session that a worker has compacted."""
    log, clock = MemoryLog(), HandClock()
    for fact in long_life(length=40) if facts is None else facts:
        await write(log, KEY, [fact], clock=clock)
    await worker_on(log).drain()
    return log


async def written(log: Log, path: Path, *keys: SessionKey) -> list[Written]:
    """Bring the backup at *path* up to date."""
    return [one async for one in back_up(log, Backup(path), keys or (KEY,))]


def file_of(path: Path) -> Path:
    """Return the file of the session's events in the backup."""
    return path / "sessions" / KEY.tenant / f"{KEY.session}.jsonl"


def test_a_session_comes_back_as_it_was(tmp_path: Path) -> None:
    """A session that I back up and restore into an empty log has the same bytes, the same chain and proves itself."""

    async def run() -> None:
        log = await lived()
        events = await read(log, KEY)
        [one] = await written(log, tmp_path)
        assert (one.ok, one.events, one.added) == (True, len(events), len(events))
        assert file_of(tmp_path).read_bytes() == b"".join(event.body + b"\n" for event in events)
        new = MemoryLog()
        [restored] = [one async for one in restore(new, open_source(tmp_path), [KEY])]
        assert (restored.ok, restored.added) == (True, len(events))
        assert restored.verdict == await verify(new, KEY)
        assert await read(new, KEY) == events
        [again] = [one async for one in restore(new, open_source(tmp_path), [KEY])]
        assert (again.ok, again.added) == (True, 0)

    asyncio.run(run())


def test_a_second_run_adds_only_what_is_new(tmp_path: Path) -> None:
    """Running the backup again adds the new events and touches nothing else."""

    async def run() -> None:
        log = await lived()
        [first] = await written(log, tmp_path)
        before = file_of(tmp_path).read_bytes()
        assert [(one.events, one.added) for one in await written(log, tmp_path)] == [(first.events, 0)]
        assert file_of(tmp_path).read_bytes() == before
        await write(log, KEY, said(long_story(3, length=5))[1:], clock=HandClock("more"))
        [more] = await written(log, tmp_path)
        assert more.events == first.events + more.added > first.events
        assert file_of(tmp_path).read_bytes().startswith(before)
        assert (await prove(Backup(tmp_path), KEY)).ok

    asyncio.run(run())


def test_what_was_erased_leaves_the_backup_with_its_next_run(tmp_path: Path) -> None:
    """After I erased a session, the next backup holds its tombstone and what follows, wherever the last one ended."""

    async def run() -> None:
        log = await lived()
        await written(log, tmp_path)
        await write(log, KEY, said(long_story(3, length=5))[1:], clock=HandClock("more"))
        opened = SessionOpened(window=Window(hard_limit=1_000))
        stone = SessionErased(by="owner", opened=opened, next_item=100, version=10)
        await write(log, KEY, [stone], clock=HandClock("stone"))
        await log.erase(KEY)
        await write(log, KEY, said(long_story(3, length=5))[1:3], clock=HandClock("after"))
        events = await read(log, KEY)
        assert type(events[0].event.data) is SessionErased
        for _ in range(2):
            [one] = await written(log, tmp_path)
            assert (one.ok, one.events) == (True, events[-1].event.seq)
            assert file_of(tmp_path).read_bytes() == b"".join(event.body + b"\n" for event in events)
        assert (await prove(Backup(tmp_path), KEY)).ok
        new = MemoryLog()
        [restored] = [one async for one in restore(new, open_source(tmp_path), [KEY])]
        assert restored.ok
        assert await read(new, KEY) == events

    asyncio.run(run())


def test_a_backup_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """Wherever the file ends when the process dies, the next run keeps what is whole and adds the rest."""

    async def run() -> None:
        log = await lived()
        await written(log, tmp_path)
        whole = file_of(tmp_path).read_bytes()
        lines = whole.splitlines(keepends=True)
        for size in (0, 1, len(lines[0]), len(lines[0]) + 1, len(whole) // 2, len(whole) - 1):
            file_of(tmp_path).with_suffix(".json").unlink()
            file_of(tmp_path).write_bytes(whole[:size])
            assert not (await prove(Backup(tmp_path), KEY)).ok
            [one] = await written(log, tmp_path)
            held = sum(1 for end in range(1, len(lines) + 1) if len(b"".join(lines[:end])) <= size)
            assert (one.ok, one.events, one.added) == (True, len(lines), len(lines) - held)
            assert file_of(tmp_path).read_bytes() == whole

    asyncio.run(run())


@law(60)
@given(st.integers(0, 100_000), st.integers(0, 7))
def test_a_flipped_bit_in_a_backup_is_found(at: int, bit: int) -> None:
    """Whichever bit of a session's file changes, proving the backup names the first damaged event, or the one after."""
    path, whole = _damaged_backup()
    body = bytearray(whole)
    body[at % len(body)] ^= 1 << bit
    file_of(path).write_bytes(bytes(body))
    line = whole[: at % len(body)].count(b"\n") + 1
    found = asyncio.run(prove(Backup(path), KEY))
    assert found.damaged_seq in (line, line + 1)
    log = MemoryLog()

    async def run() -> None:
        [one] = [one async for one in restore(log, Backup(path), [KEY])]
        assert (one.ok, one.added) == (False, 0)
        assert await log.stored_end(KEY) == Head()

    asyncio.run(run())


_made: list[tuple[Path, bytes]] = []


@pytest.fixture(autouse=True, scope="module")
def _backup(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("backup")
    asyncio.run(_fill(path))
    _made[:] = [(path, file_of(path).read_bytes())]


async def _fill(path: Path) -> None:
    await written(await lived(), path)


def _damaged_backup() -> tuple[Path, bytes]:
    return _made[0]


def test_a_flipped_bit_in_a_manifest_is_found(tmp_path: Path) -> None:
    """Whichever bit of a manifest changes, it is named, and writing on destroys nothing of the file."""

    async def run() -> None:
        log = await lived()
        await written(log, tmp_path)
        manifest, whole = file_of(tmp_path).with_suffix(".json"), file_of(tmp_path).read_bytes()
        good = manifest.read_bytes()
        for at in range(len(good)):
            for bit in (0, 7):
                bad = bytearray(good)
                bad[at] ^= 1 << bit
                manifest.write_bytes(bytes(bad))
                assert not (await prove(Backup(tmp_path), KEY)).ok, (at, bit)
                assert not (await written(log, tmp_path))[0].ok, (at, bit)
                assert file_of(tmp_path).read_bytes() == whole

    asyncio.run(run())


def test_a_session_whose_file_is_gone_is_named(tmp_path: Path) -> None:
    """A file that was removed does not take its session out of the backup."""
    asyncio.run(_fill(tmp_path))
    file_of(tmp_path).unlink()
    assert Backup(tmp_path).sessions() == [KEY]
    assert asyncio.run(prove(Backup(tmp_path), KEY)).damaged_seq == 1


def test_a_directory_that_was_just_begun_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed at any step of making the directory a backup can be run again."""

    async def run() -> None:
        log = await lived()
        for step in ("fsync", "replace"):
            path = tmp_path / step
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", _killed)
                with pytest.raises(KeyboardInterrupt):
                    await written(log, path)
            [one] = await written(log, path)
            assert one.ok
            assert (await prove(Backup(path), KEY)).ok

    asyncio.run(run())


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_runs_at_once_do_not_write_into_each_other(tmp_path: Path) -> None:
    """While one run writes a session's file, another is refused."""
    Backup(tmp_path).prepare()
    with SessionFile(Backup(tmp_path), KEY), pytest.raises(UnavailableError, match="another run"):
        SessionFile(Backup(tmp_path), KEY)


@pytest.mark.parametrize("fault", ["cut", "dropped", "swapped", "doubled"])
def test_a_file_that_is_not_what_was_written_is_named(tmp_path: Path, fault: str) -> None:
    """A file with its end cut off, or a line lost, moved or doubled, is found at that place."""
    asyncio.run(_fill(tmp_path))
    lines = file_of(tmp_path).read_bytes().splitlines(keepends=True)
    faults = {
        "cut": (lines[:-1], len(lines)),
        "dropped": ([*lines[:3], *lines[4:]], 4),
        "swapped": ([*lines[:3], lines[4], lines[3], *lines[5:]], 4),
        "doubled": ([*lines[:4], lines[3], *lines[4:]], 5),
    }
    file_of(tmp_path).write_bytes(b"".join(faults[fault][0]))
    assert asyncio.run(prove(Backup(tmp_path), KEY)).damaged_seq == faults[fault][1]


def test_a_session_of_other_events_is_not_overwritten(tmp_path: Path) -> None:
    """Restoring over a session that went another way is refused; one that went further is left as it is."""

    async def run() -> None:
        log = await lived()
        await written(log, tmp_path)
        other = await lived(long_life(seed=8, length=10))
        before = await read(other, KEY)
        [refused] = [one async for one in restore(other, Backup(tmp_path), [KEY])]
        assert not refused.ok
        assert "other events" in refused.reason
        assert await read(other, KEY) == before
        await write(log, KEY, said(long_story(3, length=5))[1:], clock=HandClock("more"))
        further = await read(log, KEY)
        [left] = [one async for one in restore(log, Backup(tmp_path), [KEY])]
        assert (left.ok, left.added) == (True, 0)
        assert await read(log, KEY) == further

    asyncio.run(run())


def test_a_session_that_the_log_has_the_beginning_of_is_completed(tmp_path: Path) -> None:
    """Restoring a session of which the log has only the first events adds the others."""

    async def run() -> None:
        log = await lived()
        events = await read(log, KEY)
        await written(log, tmp_path)
        new = MemoryLog()
        await new.copy(KEY, log.read_kept(KEY, until=7), until=7)
        [one] = [one async for one in restore(new, Backup(tmp_path), [KEY])]
        assert (one.ok, one.added) == (True, len(events) - 7)
        assert await read(new, KEY) == events

    asyncio.run(run())


def test_a_log_that_has_lost_events_does_not_shorten_its_backup(tmp_path: Path) -> None:
    """If the log has lost the end, or has other events, the backup keeps what it has and says so."""

    async def run() -> None:
        log = await lived()
        await written(log, tmp_path)
        before = file_of(tmp_path).read_bytes()
        shorter = MemoryLog()
        await shorter.copy(KEY, log.read_kept(KEY, until=7), until=7)
        for other in (shorter, await lived(long_life(seed=8, length=60))):
            [one] = await written(other, tmp_path)
            assert not one.ok
            assert file_of(tmp_path).read_bytes() == before

    asyncio.run(run())


def test_a_damaged_session_is_written_up_to_the_damage(tmp_path: Path) -> None:
    """What can be read of a damaged session is backed up, the place is named, and the others go on."""

    async def run() -> None:
        log = await lived()
        other = SessionKey(KEY.tenant, "other")
        await write(log, other, said(long_story(3, length=5)), clock=HandClock("other"))
        log.lose(KEY, 9)
        first, second = await written(log, tmp_path, KEY, other)
        assert (first.ok, first.events, first.damaged_seq) == (False, 8, 9)
        assert second.ok

    asyncio.run(run())


def test_an_export_is_a_session_of_a_backup(tmp_path: Path) -> None:
    """What I export as one file can be proven and restored like a backup."""

    async def run() -> None:
        log, path = await lived(), tmp_path / "s.jsonl"
        path.write_bytes(b"".join([one.body + b"\n" async for one in log.read_kept(KEY)]))
        source, new = open_source(path), MemoryLog()
        assert source.sessions() == [KEY]
        assert (await prove(source, KEY)).ok
        [one] = [one async for one in restore(new, source, [KEY])]
        assert one.ok
        assert await read(new, KEY) == await read(log, KEY)

    asyncio.run(run())


def test_a_newer_format_is_refused_by_its_number(tmp_path: Path) -> None:
    """A backup of a release that I do not have yet is refused, naming its format and mine, whatever part says so."""
    asyncio.run(_fill(tmp_path))
    manifest, marker = file_of(tmp_path).with_suffix(".json"), tmp_path / "retold-backup.json"
    old = manifest.read_bytes()
    manifest.write_bytes(old.replace(b'"format":1', b'"format":2'))
    with pytest.raises(SchemaError, match="expected a backup of format 1, got format 2") as error:
        Backup(tmp_path).manifest(KEY)
    assert (error.value.session, error.value.seq) == (KEY.session, 1)
    manifest.write_bytes(old)
    marker.write_bytes(b'{"format":2}')
    with pytest.raises(InputError, match=r"format 1 .*got format 2"):
        open_source(tmp_path)


def test_an_event_of_a_newer_version_is_refused_by_its_place(tmp_path: Path) -> None:
    """A backup that holds an event of a newer release, or of an unknown type, names version or type, and sequence."""
    asyncio.run(_fill(tmp_path))
    whole = file_of(tmp_path).read_bytes()
    lines = whole.splitlines(keepends=True)
    for old, new in ((b'{"v":1', b'{"v":2'), (b'"type":"', b'"type":"No')):
        file_of(tmp_path).write_bytes(b"".join([*lines[:5], lines[5].replace(old, new, 1), *lines[6:]]))
        found = asyncio.run(prove(Backup(tmp_path), KEY))
        assert found.damaged_seq == 6
        assert "version 2" in found.reason or "'No" in found.reason
    with pytest.raises(CorruptLogError):
        kept(b"{}")


@pytest.mark.parametrize("what", ["nothing", "files", "text"])
def test_what_is_no_backup_is_refused(tmp_path: Path, what: str) -> None:
    """A path without a backup, a directory of other files and a text are refused, and nothing is written there."""
    path = tmp_path / "x"
    if what == "files":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif what == "text":
        path.write_text("hello\n")
    with pytest.raises(InputError, match="expected a backup"):
        open_source(path).sessions()
    if what == "text":
        with pytest.raises(InputError, match="is a file"):
            Backup(path).prepare()
    if what == "files":
        with pytest.raises(InputError, match="expected a backup"):
            Backup(path).prepare()
        assert [one.name for one in path.iterdir()] == ["notes.txt"]
