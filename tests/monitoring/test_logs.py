"""A worker's log: a JSON object a line with what machines need, and of foreign errors nothing but their kind."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from stamina.instrumentation import set_on_retry_hooks

from retold.errors import UnavailableError
from retold.monitoring import logs
from retold.settings import LogFormat

_LOG = logging.getLogger("retold.test")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    set_on_retry_hooks(None)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_each_line_is_an_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What is given beside the message is a field of its own; a thing that JSON has no word for is told by its type."""
    logs.log_to_stderr("json", "info")
    _LOG.debug("not told")
    _LOG.info("compacted %s", "s", extra={"session": "s", "tokens_after": 7, "odd": object()})
    (line,) = _lines(capsys)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "retold.test",
        "event": "compacted s",
        "session": "s",
        "tokens_after": 7,
        "odd": "object",
    }


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_that_is_not_ours_is_told_without_its_text(
    capsys: pytest.CaptureFixture[str], form: LogFormat
) -> None:
    """A client's error may quote the conversation: its kind and where it came by are written, and no more."""
    logs.log_to_stderr(form, "info")
    for error in (ValueError("the secret transcript"), UnavailableError("the server is away")):
        try:
            raise error
        except type(error):
            _LOG.exception("failed")
    told = capsys.readouterr().err
    assert "secret" not in told
    assert "ValueError" in told
    assert "the server is away" in told
    assert "test_logs.py" in told


def test_a_line_within_a_span_names_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of the log is found again from a trace, and a trace from it."""
    logs.log_to_stderr("json", "info")
    with TracerProvider().get_tracer("test").start_as_current_span("compact") as span:
        _LOG.info("inside")
    _LOG.info("outside")
    inside, outside = _lines(capsys)
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert "trace_id" not in outside
