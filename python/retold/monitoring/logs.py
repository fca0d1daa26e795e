"""The log of a worker, on stderr: lines for people, or a JSON object a line for machines.

Rules:
- What is logged names sessions, sizes and kinds of errors, never what was said. Our own messages keep to that; of an
  error that is not ours only its type and the places in the code are written, for its text may quote the conversation.
"""

import logging
import sys
from traceback import extract_tb
from types import TracebackType
from typing import Any

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from retold.errors import RetoldError
from retold.settings import LogFormat, LogLevel

FRAMES_MAX = 20
"""How many places of a traceback are written, the innermost."""
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
QUIET = ("httpx", "httpcore", "openai", "anthropic", "uvicorn.error", "stamina")
"""Others whose lines tell of every request, and may quote it: only their warnings are written."""


def log_to_stderr(form: LogFormat, level: LogLevel) -> None:
    """Write what is logged from now on to stderr, in *form*, from *level* on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if form == "json" else _Text(TEXT))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Text(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - as logging names it
        """Return the error's type, and the places, without its text unless it is ours."""
        told = describe(ei)
        places = "".join(f"\n  {place}" for place in told["places"])
        return f"{told['type']}: {told['message']}{places}" if "message" in told else f"{told['type']}{places}"


def _json() -> logging.Formatter:
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _add_error,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        event["trace_id"], event["span_id"] = f"{found.trace_id:032x}", f"{found.span_id:016x}"
    return event


def _add_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        event["error"] = describe(info)
    return event


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
