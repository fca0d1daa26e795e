"""The JetStream API over a link: requests in JSON, publishes that are acknowledged, and what the answers mean.

nats-py's own JetStream layer is not used: it has no atomic batches, no batched direct get and no ordered pull consumer,
and it raises where an answer such as "wrong last sequence" is an ordinary outcome here.
"""

import base64
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg

from retold.errors import UnavailableError
from retold.events import is_sealed_document
from retold.log.link import Link, Lost
from retold.log.packing import unpack

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
"""The subject does not end where the publish said: a conflict, or our own earlier try. R1 and R3 differ."""
CONTAINS_DUPLICATE = 10201
"""An atomic batch holds a message whose id is stored already."""
STREAM_NOT_FOUND = 10059
NOT_ENABLED = frozenset({10039, 10076})
SAME_NAME = frozenset({10058, 10065})
"""The stream exists with another configuration, or its subjects overlap with another stream's."""
_NOT_THERE = frozenset({10037, 10043, 10057})
_PASSING = frozenset({10008, 10009, 10049, 10158, 10168, 10175, 10176, 10210})
"""Errors that pass: no leader yet, store being opened, the same id still in process, a batch whose start was lost."""


FULL = frozenset({10023, 10047, 10077})
"""The stream, the account or the disk takes no more. The code beside them is 503, and yet trying again is of no use."""


class Failure(Struct, frozen=True):
    """Hold an error of the API as it came."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Ack(Struct, frozen=True):
    """Hold the answer to a publish: where it was stored, or why not."""

    seq: int = 0
    duplicate: bool = False
    error: Failure | None = None


class Stored(Struct, frozen=True):
    """Hold one message as it was stored, unpacked. `position` is its sequence in the stream, not in the session.

    `at` is when the server stored it, where its leader was asked (`get`).
    """

    subject: str
    position: int
    headers: dict[str, str]
    body: bytes
    at: datetime | None = None


class Refused(UnavailableError):  # noqa: N818 -- an answer first: a caller that knows what it means says it better
    """Say that the server answered a request with an error, for example because a stream was deleted."""

    def __init__(self, failure: Failure, *, told: str = "the server refused a request") -> None:
        self.failure = failure
        super().__init__(f"{told}: {failure.description} (error {failure.err_code})")


class _Held(Struct):
    subject: str
    seq: int
    hdrs: str = ""
    data: str = ""
    time: datetime | None = None


class _Got(Struct):
    message: _Held | None = None
    error: Failure | None = None


_acks = msgspec.json.Decoder(Ack)
_gots = msgspec.json.Decoder(_Got)


async def call(link: Link, verb: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask ``$JS.API.<verb>`` and return the answer; retried while it passes.

    Raises:
        Refused: with the API's error.
        UnavailableError: if no answer came.
    """
    payload = b"" if request is None else msgspec.json.encode(request)

    async def once() -> dict[str, Any]:
        message = await link.ask(f"$JS.API.{verb}", payload)
        answer = msgspec.json.decode(message.data, type=dict[str, Any])
        if "error" in answer:
            failure = msgspec.convert(answer["error"], Failure)
            note(link, failure)
            refuse(failure)
        return answer

    return await link.retry(once)


async def publish(link: Link, subject: str, body: bytes, headers: dict[str, str]) -> Ack:
    """Publish once into a stream and return the answer, which may be an error.

    Raises:
        Lost: if it is not known whether the message was stored, or the server said to try again.
        Refused: if the stream or the server takes no more.
    """
    message = await link.ask(subject, body, headers=headers)
    try:
        return read_ack(message)
    except Refused as refused:
        note(link, refused.failure)
        raise


def read_ack(message: Msg) -> Ack:
    """Return the acknowledgement that *message* holds.

    Raises:
        Lost: if the server said to try again.
        Refused: if the stream or the server takes no more.
    """
    ack = _acks.decode(message.data)
    failure = ack.error
    if failure is None:
        return ack
    if failure.err_code in WRONG_LAST_SEQUENCE or failure.err_code == CONTAINS_DUPLICATE:
        return ack
    if _passes(failure):
        raise Lost(failure.description)
    raise Refused(failure, told="the server refused to store")


async def erase(link: Link, stream: str, position: int) -> bool:
    """Remove the message at *position* and overwrite its bytes on disk; return whether it was there. May be repeated.

    A message that a limit pushes out of a stream, or a purge, is only forgotten: its bytes stay in the file. This
    costs the server a reading of the whole block that the message lies in, up to 8 MB.

    Raises:
        Refused: if the stream takes no deletes.
    """
    return await _delete(link, stream, {"seq": position})


async def forget(link: Link, stream: str, position: int) -> bool:
    """Remove the message at *position*; its bytes may stay in the file. Else as `erase`, and quick."""
    return await _delete(link, stream, {"seq": position, "no_erase": True})


async def discard(link: Link, stream: str, stored: Stored) -> bool:
    """Remove *stored*: overwritten where anybody could read it; what is sealed need only go. Else as `erase`."""
    remove = forget if is_sealed_document(stored.body) else erase
    return await remove(link, stream, stored.position)


async def purge(link: Link, stream: str, subject: str, *, before: int | None = None) -> None:
    """Remove the messages of *subject*, those at positions before *before* if it is given. Else as `forget`."""
    await call(link, f"STREAM.PURGE.{stream}", {"filter": subject} | ({} if before is None else {"seq": before}))


async def _delete(link: Link, stream: str, request: dict[str, Any]) -> bool:
    try:
        await call(link, f"STREAM.MSG.DELETE.{stream}", request)
    except Refused as refused:
        if refused.failure.err_code in _NOT_THERE:
            return False
        raise
    return True


def note(link: Link, failure: Failure) -> None:
    """Note *failure* among the faults of *link*, if it is one: mostly an error is an answer."""
    if failure.err_code in FULL:
        link.faults.note("disk_full", failure.description)


def refuse(failure: Failure) -> None:
    """Raise what *failure* is: `Lost` if it passes, else `Refused`."""
    if _passes(failure):
        raise Lost(failure.description)
    raise Refused(failure)


def _passes(failure: Failure) -> bool:
    if failure.err_code in FULL:
        return "closed" in failure.description  # the store of a stream whose server is just stopping
    return failure.err_code in _PASSING or (failure.code == 503 and failure.err_code not in NOT_ENABLED)


async def get(link: Link, stream: str, request: dict[str, object]) -> Stored | None:
    """Return one message from the stream's leader, or None if it has none that matches. Never a stale answer.

    A direct get would be cheaper by a quarter, but any replica may answer it, and one that lags has not the newest.

    *request* is ``{"last_by_subj": s}``, ``{"seq": n}`` or ``{"seq": n, "next_by_subj": s}``.

    Raises:
        Refused: if the server answers with another error than "not found".
    """
    payload = msgspec.json.encode(request)

    async def once() -> Stored | None:
        message = await link.ask(f"$JS.API.STREAM.MSG.GET.{stream}", payload)
        got = _gots.decode(message.data)
        if got.error is not None:
            if got.error.code == 404 and got.error.err_code != STREAM_NOT_FOUND:
                return None
            refuse(got.error)
        return _stored(got.message)

    return await link.retry(once)


def direct(message: Msg) -> Stored:
    """Return the message that a direct get answered with."""
    headers = message.headers or {}
    return Stored(
        subject=headers["Nats-Subject"],
        position=int(headers["Nats-Sequence"]),
        headers=headers,
        body=unpack(message.data, headers),
    )


def _stored(held: _Held | None) -> Stored | None:
    if held is None:
        return None
    headers = _headers(base64.b64decode(held.hdrs))
    return Stored(
        subject=held.subject,
        position=held.seq,
        headers=headers,
        body=unpack(base64.b64decode(held.data), headers),
        at=held.time,
    )


def _headers(raw: bytes) -> dict[str, str]:
    lines = raw.decode().split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip(): value.strip() for name, _, value in pairs}
