"""The files of a backup, and an export, which is one of them.

<directory>/
  retold-backup.json                    {"format":1}
  sessions/<tenant>/<session>.jsonl     one event a line, the stored bytes, from the first on
  sessions/<tenant>/<session>.json      how far the file above is whole: events, bytes, hash of the last event

Rules:
- An event's line is what the log has, byte for byte, large ones included: the chain in them proves the file.
- Lines are only ever added. They are on the disk before the manifest says so, which is replaced in one step. What lies
  behind the manifest's end was being written when the process died: whole events of it are kept, a torn one is cut off.
- A session that was erased begins anew, with its tombstone: what was written of it before is removed from its file.
- A newer format is refused by its number.
"""

import fcntl
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError, SchemaError, UnavailableError
from retold.events import Head, Kept, SessionKey, kept
from retold.whole_files import make_directory, write_whole

FORMAT = 1
MARKER = "retold-backup.json"
_BEGUN = {f"{MARKER}.new"}
"""What a run may have left that was killed before it had made the directory a backup."""
COMMIT_BYTES = 32 * 1024 * 1024
"""How much is written between two manifests: what a killed process has to write again at most is nothing but this."""

TAIL_BYTES = 64 * 1024
"""How much of a file's end is read at a time to find its last line."""


class _Marker(Struct):
    format: int


class Manifest(Struct, frozen=True):
    """Say how far a session's file is whole.

    Attributes:
        format: the version of the files.
        events: how many events it holds: the last one's sequence.
        bytes: the size of their lines.
        head: the hash of the last event.
    """

    format: int
    tenant: str
    session: str
    events: int
    bytes: int
    head: str

    @property
    def end(self) -> Head:
        """Return the last event's sequence and hash."""
        return Head(seq=self.events, hash=self.head)


class Backup:
    """Read and write the backup in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory a backup, unless it is one.

        Raises:
            InputError: if it is a file, holds other files, or is a backup of a newer format.
        """
        if self.directory.exists() and not self.directory.is_dir():
            raise InputError(f"expected a directory for the backup, {self.directory} is a file")
        if self.directory.is_dir() and {one.name for one in self.directory.iterdir()} - _BEGUN:
            self.check()
            return
        # The marker comes first: what a run that was killed before it has left is known by its name.
        make_directory(self.directory)
        write_whole(self.directory / MARKER, msgspec.json.encode(_Marker(format=FORMAT)))

    def check(self) -> None:
        """Check that the directory is a backup that this release reads.

        Raises:
            InputError: if it is none, or of a newer format.
        """
        try:
            marker = msgspec.json.decode((self.directory / MARKER).read_bytes(), type=_Marker)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            raise InputError(f"expected a backup in {self.directory}, it has no {MARKER} that can be read") from None
        if marker.format != FORMAT:
            raise InputError(
                f"expected a backup of format {FORMAT} in {self.directory}, got format {marker.format}: upgrade Retold"
            )

    def sessions(self) -> list[SessionKey]:
        """Return the sessions in it, ordered by tenant and name, also unfinished ones and those that lost a file."""
        found = (path for kind in ("*/*.jsonl", "*/*.json") for path in (self.directory / "sessions").glob(kind))
        return sorted({SessionKey(tenant=path.parent.name, session=path.stem) for path in found})

    def manifest(self, key: SessionKey) -> Manifest:
        """Return what is known to be whole of a session; no events if nothing is.

        Raises:
            SchemaError: if it is of a newer format.
            CorruptLogError: if it cannot be read, or is of another session.
        """
        path = self.path(key).with_suffix(".json")
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Manifest(FORMAT, key.tenant, key.session, 0, 0, Head().hash)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CorruptLogError("its backup's manifest cannot be read", session=key.session, seq=1) from None
        if found.format != FORMAT:
            raise SchemaError(
                f"expected a backup of format {FORMAT}, got format {found.format}", session=key.session, seq=1
            )
        if (found.tenant, found.session) != (key.tenant, key.session):
            raise CorruptLogError("its backup's manifest names another session", session=key.session, seq=1)
        return found

    async def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Yield the events of ``after < seq <= until``, all checked from the first on, and against the manifest.

        Raises:
            CorruptLogError: at the first that is missing or damaged, or if the backup of it was not finished.
        """
        for one in self._events(key):
            if until is not None and one.standing.seq > until:
                return
            if one.standing.seq > after:
                yield one

    def _events(self, key: SessionKey) -> Iterator[Kept]:
        manifest = self.manifest(key)
        if manifest.events == 0:
            raise CorruptLogError("its backup was not finished: write it again", session=key.session, seq=1)
        head, size = Head(), 0
        for one in _chained(self.path(key), key=key, until=manifest.events):
            head = one.head
            size += len(one.body) + 1
            yield one
        if head != manifest.end or size != manifest.bytes:
            seq = min(head.seq + 1, manifest.events)
            raise CorruptLogError("the backup's file is not what was written", session=key.session, seq=seq)

    def path(self, key: SessionKey) -> Path:
        """Return the file of a session's events."""
        return self.directory / "sessions" / key.tenant / f"{key.session}.jsonl"


class Export:
    """Read one session out of a file of its events, as ``retold export --format events`` writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sessions(self) -> list[SessionKey]:
        """Return the session that the first event names.

        Raises:
            InputError: if the file has none.
        """
        with self._path.open("rb") as file:
            line = file.readline().rstrip(b"\n")
        try:
            return [kept(line).standing.key]
        except CorruptLogError:
            raise InputError(f"expected a backup, or an export, which has an event a line: {self._path}") from None

    async def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Yield the events of ``after < seq <= until``, all checked from the first on.

        Raises:
            CorruptLogError: at the first that is damaged.
        """
        for one in _chained(self._path, key=key, until=until):
            if one.standing.seq > after:
                yield one


def open_source(path: Path) -> Backup | Export:
    """Return the backup in the directory, or the export in the file, at *path*.

    Raises:
        InputError: if there is neither.
    """
    if path.is_dir():
        backup = Backup(path)
        backup.check()
        return backup
    if path.is_file():
        return Export(path)
    raise InputError(f"expected a backup or an export at {path}, there is nothing")


class SessionFile:
    """Add events to a session's file, in a ``with``; what was added is on the disk when it ends.

    Attributes:
        end: where what it holds ends.
    """

    def __init__(self, backup: Backup, key: SessionKey) -> None:
        """Take up what is there.

        Raises:
            CorruptLogError: if the manifest cannot be read, or the file does not end as it says.
            UnavailableError: if another run is writing to it.
        """
        self._backup = backup
        self._key = key
        self._path = backup.path(key)
        make_directory(self._path.parent)
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            self._take_up()
        except BaseException:
            self._file.close()
            raise

    def _take_up(self) -> None:
        """Find out where the file ends, and let nobody else write to it until it is closed."""
        file, key = self._file, self._key
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(f"another run is writing to the backup in {self._backup.directory}") from None
        self._manifest = self._backup.manifest(key)
        self.end, self._bytes = self._manifest.end, self._manifest.bytes
        if os.fstat(file.fileno()).st_size < self._bytes:
            raise CorruptLogError(
                "its backup's file is shorter than was written", session=key.session, seq=self.end.seq
            )
        if _last_head(file, self._bytes) != self.end:
            # Written on from there, it would be cut in the middle of what is whole.
            seq = max(self.end.seq, 1)
            raise CorruptLogError("its backup's file does not end as was written", session=key.session, seq=seq)
        file.seek(self._bytes)
        for line in file:
            one = _whole(line)
            if one is None or not _follows(one, self.end, key):
                break
            self.end = one.head
            self._bytes += len(line)
        file.seek(self._bytes)
        file.truncate()

    def add(self, one: Kept) -> None:
        """Add the next event.

        Raises:
            CorruptLogError: if it does not follow, or its bytes hold a line break, which no release writes.
        """
        one.check_follows(self.end, self._key)
        if b"\n" in one.body:
            raise CorruptLogError("its bytes hold a line break", session=self._key.session, seq=one.standing.seq)
        self._file.write(one.body + b"\n")
        self.end = one.head
        self._bytes += len(one.body) + 1
        if self._bytes - self._manifest.bytes >= COMMIT_BYTES:
            self.commit()

    def start_anew(self) -> None:
        """Drop what the file holds: the session was erased. Killed on the way, the next run does it again."""
        self._path.with_suffix(".json").unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()
        self._manifest = self._backup.manifest(self._key)
        self.end, self._bytes = self._manifest.end, 0

    def commit(self) -> None:
        """Put what was added on the disk, and then say so in the manifest."""
        if self.end == self._manifest.end:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        key = self._key
        self._manifest = Manifest(FORMAT, key.tenant, key.session, self.end.seq, self._bytes, self.end.hash)
        write_whole(self._path.with_suffix(".json"), msgspec.json.encode(self._manifest))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was added, also after an error: it is whole, and the next run goes on from it."""
        try:
            self.commit()
        finally:
            self._file.close()


def _chained(path: Path, *, key: SessionKey, until: int | None = None) -> Iterator[Kept]:
    head = Head()
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        raise CorruptLogError("its file is not there", session=key.session, seq=1) from None
    with opened as file:
        for line in file:
            if until is not None and head.seq >= until:
                return
            one = _whole(line)
            if one is None:
                raise CorruptLogError("its backup has no event there", session=key.session, seq=head.seq + 1)
            one.check_follows(head, key)
            head = one.head
            yield one


def _last_head(file: BinaryIO, size: int) -> Head | None:
    """Return the head that the last line of the first *size* bytes gives, `Head()` of none; None if it is no event."""
    start, line = size, b""
    while start > 0 and line.find(b"\n", 0, -1) < 0:
        file.seek(max(0, start - TAIL_BYTES))
        line = file.read(start - file.tell()) + line
        start = max(0, start - TAIL_BYTES)
    if not size:
        return Head()
    one = _whole(line[line.rfind(b"\n", 0, -1) + 1 :])
    return None if one is None else one.head


def _whole(line: bytes) -> Kept | None:
    """Return the event on *line*, or None if it is torn or none.

    Raises:
        SchemaError: if it is of a newer version.
    """
    if not line.endswith(b"\n"):
        return None
    try:
        return kept(line[:-1])
    except SchemaError:
        raise
    except CorruptLogError:
        return None


def _follows(one: Kept, head: Head, key: SessionKey) -> bool:
    try:
        one.check_follows(head, key)
    except CorruptLogError:
        return False
    return True
