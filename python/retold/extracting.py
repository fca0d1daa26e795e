"""Long extractions in a process of their own.

One takes a second of a processor for a long history, and an interpreter runs one thread at a time: in a thread of the
worker's, each wake of every other session waited for slices of it. The process starts with the first one, does one at a
time, and ends when the worker does, however that ends: it reads until there is nobody who could write.
"""

import logging
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

ANSWER_S = 120.0
"""A process that has not answered for so long is ended: a hundred times what a long history takes."""

FAILURES_MAX = 3
"""After so many in a row no other process is started: something here keeps it from working."""

_log = logging.getLogger(__name__)


class _Asked(Struct, frozen=True):
    key: SessionKey
    context: bytes
    decision: SummarizeSpan


class _Running(Struct):
    process: "subprocess.Popen[bytes]"
    connection: Connection
    end: "finalize[..., ExtractionProcess]"


_encoder = msgspec.msgpack.Encoder()


class ExtractionProcess:
    """Have extractions made by a process that is started when it is first needed. May be used by several threads."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = Lock()
        self._running: _Running | None = None
        self._failures = 0

    @property
    def pid(self) -> int | None:
        """The id of the process that would be asked next, None where one would have to be started."""
        return None if self._running is None else self._running.process.pid

    def extract(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return what `extract_for` gives; wait while others are served.

        Where the process cannot be had, dies, or does not answer in time, it is made here.
        """
        with self._lock:
            answer = self._answer(context, decision) if self._failures < FAILURES_MAX else None
        return answer or extract_for(context, decision)

    def _answer(self, context: Context, decision: SummarizeSpan) -> Summary | None:
        try:
            asked = _Asked(key=context.key, context=encode_context(context), decision=decision)
            self._running = self._running or _started(self)
            self._running.connection.send_bytes(_encoder.encode(asked))
            if not self._running.connection.poll(ANSWER_S):
                raise TimeoutError
            answer = msgspec.msgpack.decode(self._running.connection.recv_bytes(), type=Summary)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            self._failures += 1
            _log.warning("extraction in a process of its own failed, it is made here: %s", type(error).__name__)
            if self._running is not None:
                self._running.end()
                self._running = None
            return None
        self._failures = 0
        return answer


def _started(owner: ExtractionProcess) -> _Running:
    """Start a process that ends with *owner* at the latest.

    Raises:
        OSError: if it cannot be started.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise OSError("there is no interpreter to start")
    own, other = Pipe()
    with other:
        # -P: a module that lies in the working directory is not ours.
        command = [sys.executable, "-P", "-m", __spec__.name, str(other.fileno())]
        quiet = subprocess.DEVNULL  # an error may quote the conversation
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            command, pass_fds=[other.fileno()], stdin=quiet, stdout=quiet, stderr=quiet
        )
    return _Running(process=process, connection=own, end=finalize(owner, _end, process, own))


def _end(process: "subprocess.Popen[bytes]", connection: Connection) -> None:
    connection.close()
    process.kill()  # it holds nothing that could be lost
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
