"""Names of sessions, made from a transcript's own ids."""

import re
from hashlib import sha256
from typing import Final

NAME_LENGTH_MAX: Final = 128
"""The longest session name: a name is one token of a NATS subject and one key of a bucket."""

_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_=-]+")


def session_name(*ids: str) -> str:
    """Return the *ids* joined by hyphens as a session's name, ``[A-Za-z0-9_=-]{1,128}``; equal ids give equal names.

    What may not stand in a name becomes an underscore; a name that is too long ends in a hash of the whole.
    """
    whole = "-".join(part for part in ids if part)
    name = _FORBIDDEN.sub("_", whole) or "session"
    if len(name) <= NAME_LENGTH_MAX:
        return name
    digest = sha256(whole.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{name[: NAME_LENGTH_MAX - 17]}-{digest}"


def stem_of(name: str) -> str:
    """Return a file's *name* without its folders and the endings that transcripts have."""
    base = re.split(r"[/\\]", name)[-1]
    return re.sub(r"(\.(jsonl?|ndjson|traj))+$", "", base)


def shown(name: object) -> str:
    """Return a record's type for a message: quoted if it looks like a name, otherwise only its kind."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_./:-]{1,64}", name):
        return f"'{name}'"
    return "a type that is no plain name"
