"""What goes wrong, told in the form that the client speaks: its own error shape, and never a word of what was said."""

from collections.abc import Mapping
from typing import Any, Final

from retold.errors import ConflictError, InputError, RetoldError, UnavailableError
from retold.events import Form

_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_OPENAI_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}

AGAIN: Final = {"retry-after": "1"}
"""When another try is worth it, in seconds, where something is busy or away."""


class Fault(Exception):  # noqa: N818 - one that is an answer
    """Hold an answer that is an error.

    Attributes:
        status: the HTTP status.
        message: what is wrong, for a person.
        code: the same in a word, for a program.
        headers: what the answer's head says beside it.
    """

    def __init__(self, status: int, message: str, *, code: str, headers: Mapping[str, str] | None = None) -> None:
        """Say what is wrong; *message* holds nothing of a conversation and no key."""
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}
        super().__init__(message)


def fault_of(error: RetoldError) -> Fault:
    """Return the answer to a request that came to *error*."""
    match error:
        case InputError():
            return Fault(400, str(error), code="invalid_request")
        case UnavailableError() | ConflictError():
            return Fault(503, "the log cannot be reached: try again", code="log_unavailable", headers=AGAIN)
        case _:
            return Fault(503, "the log cannot be used: ask who runs this gateway", code="log_unusable")


def error_body(form: Form, fault: Fault, *, request_id: str) -> dict[str, Any]:
    """Return the body that says *fault* in *form*."""
    if form == "anthropic":
        kind = _ANTHROPIC_KINDS.get(fault.status, "api_error" if fault.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": fault.message}, "request_id": request_id}
    kind = _OPENAI_KINDS.get(fault.status, "server_error" if fault.status >= 500 else "invalid_request_error")
    return {"error": {"message": fault.message, "type": kind, "param": None, "code": fault.code}}
