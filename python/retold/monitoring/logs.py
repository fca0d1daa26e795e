"""The log of a worker, on stderr: lines for people, or a JSON object a line for machines.

Rules:
- The standard library's logging, and no structlog: its being installed makes stamina print every retry on the stdout of
  whoever uses us as a library.
- What is logged names sessions, sizes and kinds of errors, never what was said. Our own messages keep to that; of an
  error that is not ours only its type and the places in the code are written, for its text may quote the conversation.
"""

import logging
import sys
from datetime import UTC, datetime
from traceback import extract_tb
from types import TracebackType
from typing import Any

import msgspec
from opentelemetry import trace
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from retold.errors import RetoldError
from retold.settings import LogFormat, LogLevel

FRAMES_MAX = 20
"""How many places of a traceback are written, the innermost."""
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
QUIET = ("httpx", "httpcore", "openai", "anthropic", "uvicorn.error", "stamina")
"""Others whose lines tell of every request, and may quote it: only their warnings are written."""
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def log_to_stderr(form: LogFormat, level: LogLevel) -> None:
    """Write what is logged from now on to stderr, in *form*, from *level* on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text(TEXT))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Where structlog happens to be installed, stamina would print each retry on stdout.
    set_on_retry_hooks([LoggingOnRetryHook])
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Text(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - as logging names it
        """Return the error's type, and the places, without its text unless it is ours."""
        told = describe(ei)
        places = "".join(f"\n  {place}" for place in told["places"])
        return f"{told['type']}: {told['message']}{places}" if "message" in told else f"{told['type']}{places}"


class _Json(logging.Formatter):
    """Write a JSON object a line: what was told, by whom, when, and what was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON; what cannot be written is told by its type."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            told |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        if record.exc_info:
            told["error"] = describe(record.exc_info)
        return msgspec.json.encode(told, enc_hook=lambda value: type(value).__name__).decode()


def describe(
    info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None],
) -> dict[str, Any]:
    """Return the type of an error, the places in the code that it came by, and its message if the error is ours."""
    kind, error, back = info
    told: dict[str, Any] = {"type": "unknown" if kind is None else kind.__name__}
    if isinstance(error, RetoldError):
        told["message"] = str(error)
    frames = extract_tb(back)[-FRAMES_MAX:]
    told["places"] = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    return told
