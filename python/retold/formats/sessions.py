"""Names of sessions, made from a transcript's own ids."""

import re
from hashlib import sha256
from typing import Final

NAME_LENGTH_MAX: Final = 128
"""The longest session name: a name is one token of a NATS subject and one key of a bucket."""

HASH_CHARACTERS: Final = 12
"""How much of a hash tells names apart: 48 bits, so that a million names have one in 500 to hold two that are alike."""

_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9_=-]+")


def session_name(*ids: str) -> str:
    """Return the *ids* joined by hyphens as a session's name, ``[A-Za-z0-9_=-]{1,128}``; equal ids give equal names.

    What may not stand in a name becomes an underscore. A name that had such, or is too long, ends in a hash of the
    whole: "x y" and "x_y", or two names in Chinese, are not one session.
    """
    whole = "-".join(part for part in ids if part) or "session"
    name = _FORBIDDEN.sub("_", whole)
    if name == whole and len(name) <= NAME_LENGTH_MAX:
        return name
    digest = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_CHARACTERS]
    return f"{name[: NAME_LENGTH_MAX - HASH_CHARACTERS - 1]}-{digest}"


def stem_of(name: str) -> str:
    """Return a file's *name* without its folders and the endings that transcripts have."""
    base = re.split(r"[/\\]", name)[-1]
    return re.sub(r"(\.(jsonl?|ndjson|traj))+$", "", base)


def shown(name: object) -> str:
    """Return a record's type for a message: quoted if it looks like a name, otherwise only its kind."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_./:-]{1,64}", name):
        return f"'{name}'"
    return "a type that is no plain name"
