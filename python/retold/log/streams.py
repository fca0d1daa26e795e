"""What must stand on the server before the log is used: created where missing, accepted where compatible, else refused.

Rules:
- Nothing is ever deleted by a limit: no age, no count, and a full store refuses new messages and keeps the old ones.
- What an operator may choose (replicas, placement, compression, a byte limit) is accepted as found.
- The format is written into each stream's metadata. A newer one is refused, never guessed at.
"""

from typing import Any

from msgspec import Struct

from retold.errors import InputError, UnavailableError
from retold.log import api
from retold.log.api import Refused
from retold.log.link import Link
from retold.log.names import (
    BEGINNINGS_ALL,
    BLOBS,
    BLOBS_BUCKET,
    DEAD,
    EVENTS,
    EVENTS_ALL,
    HEADS,
    HEADS_ALL,
    HISTORIES,
    HISTORIES_BUCKET,
    KEYS,
    KEYS_ALL,
    LEASES,
    LEASES_ALL,
    SNAPSHOTS,
)

FORMAT = 1
"""The version of subjects, headers and claims that this release writes."""
FORMAT_KEY = "retold.format"
DUPLICATE_WINDOW_S = 120
"""How long the server itself knows a repeated event id; about 220 bytes of its memory for each."""
SERVER_MIN = (2, 12)
"""Atomic batches came with 2.12."""

REPLACED_KEPT = 8
"""How many messages of one key a bucket may hold. The writer removes the one that it replaces, which overwrites its
bytes: one that a limit pushes out stays in the file. More than one are there only after a crash in between."""

_NS = 1_000_000_000
_LOG = {
    "retention": "limits",
    "discard": "new",
    "storage": "file",
    "max_age": 0,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "allow_direct": True,
    "duplicate_window": DUPLICATE_WINDOW_S * _NS,
}

STREAMS: dict[str, dict[str, Any]] = {
    EVENTS: _LOG | {"subjects": [EVENTS_ALL], "allow_atomic": True, "description": "Retold: every event, for ever"},
    # A full store drops the oldest snapshots for new ones: the events can make any of them again.
    SNAPSHOTS: _LOG
    | {
        "subjects": ["retold.snap.>"],
        "discard": "old",
        "description": "Retold: folded states along each session",
    },
    HEADS: _LOG
    | {
        "subjects": [HEADS_ALL, BEGINNINGS_ALL],
        "discard": "old",
        "max_msgs_per_subject": 1,
        "description": "Retold: how far each session got, and where one begins that was written anew",
    },
    DEAD: _LOG | {"subjects": ["retold.dead.>"], "description": "Retold: what a worker gave up on"},
    # What follows are standard key-value buckets and a standard object store, so that every NATS client reads them.
    LEASES: _LOG
    | {
        "subjects": [LEASES_ALL],
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "description": "Retold: which worker works on what",
    },
    HISTORIES: _LOG
    | {
        "subjects": [f"$KV.{HISTORIES_BUCKET}.>"],
        "max_msgs_per_subject": REPLACED_KEPT,
        "allow_rollup_hdrs": True,
        "description": "Retold: the history that each session's agent sends next",
    },
    BLOBS: _LOG
    | {
        "subjects": [f"$O.{BLOBS_BUCKET}.C.>", f"$O.{BLOBS_BUCKET}.M.>"],
        "allow_rollup_hdrs": True,
        "description": "Retold: large bodies by their SHA-256",
    },
}
SEALED_STREAMS: dict[str, dict[str, Any]] = {
    KEYS: _LOG
    | {
        "subjects": [KEYS_ALL],
        "max_msgs_per_subject": REPLACED_KEPT,
        "description": "Retold: the sessions' data keys, wrapped; no copy is anywhere else",
    },
}
"""What stands beside the others where encryption was turned on."""
_ALL = STREAMS | SEALED_STREAMS
_FREE = frozenset({"description"})
_OLDER: dict[str, dict[str, Any]] = {SNAPSHOTS: {"max_msgs_per_subject": 2}}
"""What a release before this one set otherwise; it is brought up to date."""


class StreamFacts(Struct, frozen=True):
    """Say how one stream stands.

    Attributes:
        problem: None if it is as this release needs it, else what is wrong with it.
        format: the format it was created with, 0 if it is missing or names none.
        deleted: how many messages were removed from inside it.
        replicas: how many servers hold it.
    """

    name: str
    problem: str | None = None
    format: int = 0
    messages: int = 0
    size_bytes: int = 0
    deleted: int = 0
    replicas: int = 0


class ServerFacts(Struct, frozen=True):
    """Say how the server stands.

    Attributes:
        address: host and port, without credentials.
        jetstream: whether it is enabled for this account.
        profile: ``safe``, ``balanced`` or ``fast`` for an embedded server; None elsewhere: a client cannot ask a server
            how often it syncs to disk, so look for ``sync_interval`` in its configuration.
        storage_limit_bytes: what the account may store, -1 for no limit.
    """

    address: str
    version: str
    name: str
    jetstream: bool
    profile: str | None
    max_payload_bytes: int
    storage_bytes: int
    storage_limit_bytes: int
    streams: tuple[StreamFacts, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what keeps the log from working, in words; empty if nothing does."""
        own = () if self.jetstream else ("expected JetStream to be enabled",)
        return own + tuple(stream.problem for stream in self.streams if stream.problem)


async def set_up(link: Link, *, replicas: int, sealed: bool = False) -> None:
    """Create what is missing, with *sealed* the bucket of keys, too. May be repeated, and run by several at once.

    Raises:
        InputError: if a stream exists that the log cannot use; the message names stream, field, expected and found.
        UnavailableError: if JetStream is not enabled, or the server is too old.
    """
    version = link.server[0]
    if _numbers(version) < SERVER_MIN:
        raise UnavailableError(f"expected NATS server 2.12 or newer, {link.address} runs {version or 'an unknown one'}")
    for name, config in (_ALL if sealed else STREAMS).items():
        found = await _info(link, name)
        if found is None:
            found = await _create(link, name, config, replicas=replicas)
        older = _OLDER.get(name, {})
        if older and older.items() <= found["config"].items():
            new = {field: config[field] for field in older}
            found = await api.call(link, f"STREAM.UPDATE.{name}", found["config"] | new)
        problem = _problem(name, found["config"])
        if problem is not None:
            raise InputError(problem)


async def stands(link: Link, name: str) -> bool:
    """Return whether the stream exists.

    Raises:
        UnavailableError: if the server does not answer.
    """
    return await _info(link, name) is not None


async def counts(link: Link, stream: str, subject: str) -> dict[str, int]:
    """Return how many messages the stream's index has for each subject that matches *subject*.

    Raises:
        UnavailableError: if the server does not answer.
    """
    found: dict[str, int] = {}
    while True:
        request = {"subjects_filter": subject, "offset": len(found)}
        try:
            info = await api.call(link, f"STREAM.INFO.{stream}", request)
        except Refused as refused:
            raise _unusable(link, refused, stream=stream) from None
        page = info["state"].get("subjects") or {}
        found |= page
        if not page or len(found) >= info.get("total", 0):
            return found


async def inspect(link: Link) -> ServerFacts:
    """Return how the server and each stream stand; changes nothing.

    Raises:
        UnavailableError: if the server does not answer.
    """
    version, name = link.server
    try:
        account = await api.call(link, "INFO")
    except Refused:
        account = None
    found = [] if account is None else [await _facts(link, stream) for stream in _ALL]
    streams = tuple([stream for stream in found if stream.name in STREAMS or stream.format])
    return ServerFacts(
        address=link.address,
        version=version,
        name=name,
        jetstream=account is not None,
        profile=profile_of(name),
        max_payload_bytes=link.max_payload_bytes,
        storage_bytes=0 if account is None else account["storage"],
        storage_limit_bytes=0 if account is None else account["limits"]["max_storage"],
        streams=streams,
    )


def server_name(profile: str, token: str) -> str:
    """Return the name that an embedded server is given; it tells its profile to every client."""
    return f"retold-embedded-{profile}-{token}"


def profile_of(name: str) -> str | None:
    """Return the profile that an embedded server's name tells, or None for any other server."""
    parts = name.split("-")
    return parts[2] if parts[:2] == ["retold", "embedded"] and len(parts) == 4 else None


async def _info(link: Link, name: str) -> dict[str, Any] | None:
    try:
        return await api.call(link, f"STREAM.INFO.{name}")
    except Refused as refused:
        if refused.failure.err_code == api.STREAM_NOT_FOUND:
            return None
        raise _unusable(link, refused) from None


async def _create(link: Link, name: str, config: dict[str, Any], *, replicas: int) -> dict[str, Any]:
    request = config | {"name": name, "num_replicas": replicas, "metadata": {FORMAT_KEY: str(FORMAT)}}
    try:
        return await api.call(link, f"STREAM.CREATE.{name}", request)
    except Refused as refused:
        # Another process may have created it since; then its configuration is what counts.
        found = await _info(link, name) if refused.failure.err_code in api.SAME_NAME else None
        if found is not None:
            return found
        raise _unusable(link, refused, stream=name) from None


def _unusable(link: Link, refused: Refused, *, stream: str = "") -> InputError | UnavailableError:
    failure = refused.failure
    if failure.err_code in api.NOT_ENABLED:
        return UnavailableError(f"expected JetStream to be enabled at {link.address}: {failure.description}")
    if failure.err_code in api.SAME_NAME:
        return InputError(f"expected to create stream {stream}, another stream has its subjects: {failure.description}")
    return UnavailableError(f"{link.address} refused {stream or 'a request'}: {failure.description}")


def _problem(name: str, config: dict[str, Any]) -> str | None:
    """Return what is wrong with a stream's configuration, in words, or None."""
    written = str(config.get("metadata", {}).get(FORMAT_KEY, "none"))
    if written.isdigit() and int(written) > FORMAT:
        return f"stream {name}: expected format {FORMAT} or older, found {written}: written by a newer Retold, upgrade"
    if written != str(FORMAT):
        return f"stream {name}: expected metadata {FORMAT_KEY}={FORMAT}, found {written}: not made by Retold"
    for field, expected in _ALL[name].items():
        found = config.get(field, False if expected is True else None)
        if field not in _FREE and not _fits(field, expected, found):
            return f"stream {name}: expected {field} {expected!r}, found {found!r}"
    return None


def _fits(field: str, expected: object, found: object) -> bool:
    if field == "duplicate_window" and isinstance(expected, int) and isinstance(found, int):
        return found >= expected
    if field == "max_msgs_per_subject" and expected == REPLACED_KEPT:
        return isinstance(found, int) and found >= 1  # what a limit pushes out of fewer is not overwritten
    return found == expected


async def _facts(link: Link, name: str) -> StreamFacts:
    info = await _info(link, name)
    if info is None:
        return StreamFacts(name=name, problem=f"stream {name} is missing")
    state, config = info["state"], info["config"]
    written = str(config.get("metadata", {}).get(FORMAT_KEY, ""))
    return StreamFacts(
        name=name,
        problem=_problem(name, config),
        format=int(written) if written.isdigit() else 0,
        messages=state["messages"],
        size_bytes=state["bytes"],
        deleted=state.get("num_deleted", 0),
        replicas=config.get("num_replicas", 1),
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("-", maxsplit=1)[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
