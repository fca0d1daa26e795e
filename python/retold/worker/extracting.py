"""Long extractions in a process of their own.

One takes a second of a processor for a long history, and an interpreter runs one thread at a time: in a thread of the
worker's, each wake of every other session waited for slices of it. The process starts with the first one, does one at a
time, and ends when the worker does, however that ends: it reads until there is nobody who could write.
"""

import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from weakref import finalize

import msgspec
from msgspec import Struct

from retold.events import SessionKey
from retold.fold import Context, decode_context, encode_context
from retold.policy import SummarizeSpan, Summary, extract_for

END_S = 5.0
"""How long the process may take to end."""


class _Asked(Struct, frozen=True):
    key: SessionKey
    context: bytes
    decision: SummarizeSpan


_encoder = msgspec.msgpack.Encoder()


class ExtractionProcess:
    """Have extractions made by a process that is started when it is first needed. May be used by several threads."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = Lock()
        self._running: tuple[subprocess.Popen[bytes], Connection] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id, None where it has not been started or has died in the middle."""
        return None if self._running is None else self._running[0].pid

    def extract(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return what `extract_for` gives; wait while others are served.

        Where the process cannot be had, or dies, it is made here.
        """
        asked = _Asked(key=context.key, context=encode_context(context), decision=decision)
        with suppress(OSError, EOFError, msgspec.MsgspecError), self._lock:
            return self._answer(_encoder.encode(asked))
        return extract_for(context, decision)

    def _answer(self, asked: bytes) -> Summary:
        running = self._running or _started(self)
        self._running = None  # one that fails is not asked again
        running[1].send_bytes(asked)
        answer = msgspec.msgpack.decode(running[1].recv_bytes(), type=Summary)
        self._running = running
        return answer


def _started(owner: object) -> tuple["subprocess.Popen[bytes]", Connection]:
    """Start a process that ends with *owner* at the latest.

    Raises:
        OSError: if it cannot be started.
    """
    own, other = Pipe()
    with other:
        command = [sys.executable, "-m", __spec__.name, str(other.fileno())]
        quiet = subprocess.DEVNULL  # an error may quote the conversation
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            command, pass_fds=[other.fileno()], stdin=quiet, stdout=quiet, stderr=quiet
        )
    finalize(owner, _end, process)
    return process, own


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(connection: Connection) -> None:
    """Answer until there is nobody left who asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the worker says when it is over
    with suppress(EOFError):
        while True:
            asked = msgspec.msgpack.decode(connection.recv_bytes(), type=_Asked)
            context = decode_context(asked.context, key=asked.key)
            connection.send_bytes(_encoder.encode(extract_for(context, asked.decision)))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
