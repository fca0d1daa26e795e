"""Keys as values: a session's data keys, the master keys of a deployment, and the text that master keys are kept as.

No key shows its secret when it is printed, so that none gets into a log or a traceback.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from msgspec import Struct

from retold.errors import InputError

KEY_BYTES = 32
"""Every key has 256 bits."""
MASTER_KEYS_MAX = 64
"""More than this in one file is a mistake: old ones are taken out once nothing is wrapped under them."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_EXPECTED = "expected lines of a key's id and its 32 bytes in base64"


class DataKey(Struct, frozen=True):
    """Hold a key that seals what one session says. `id` is unique within the session."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        """Name the key, without its secret."""
        return f"DataKey(id={self.id!r})"


class MasterKey(Struct, frozen=True):
    """Hold a key of the deployment, which wraps data keys."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        """Name the key, without its secret."""
        return f"MasterKey(id={self.id!r})"


class MasterKeys(Struct, frozen=True):
    """Hold the master keys of a deployment. The first wraps; all of them unwrap."""

    keys: tuple[MasterKey, ...]

    @property
    def current(self) -> MasterKey:
        """Return the key that wraps."""
        return self.keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        """Return the key of that id, or None."""
        return next((key for key in self.keys if key.id == key_id), None)


def read_master_keys(text: str) -> MasterKeys:
    """Return the master keys that *text* holds: one a line, id and base64; the first one wraps. ``#`` begins a remark.

    Raises:
        InputError: naming the line that cannot be read; it does not quote it.
    """
    lines = [(number, line.partition("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1)]
    keys = [_key(words, number=number) for number, words in lines if words]
    if not keys:
        raise InputError(f"{_EXPECTED}, got no line")
    if len(keys) > MASTER_KEYS_MAX:
        raise InputError(f"expected at most {MASTER_KEYS_MAX} master keys, got {len(keys)}")
    if len({key.id for key in keys}) < len(keys):
        raise InputError("expected every master key to have an id of its own, got one twice")
    return MasterKeys(keys=tuple(keys))


def key_line(key: MasterKey) -> str:
    """Return the line that `read_master_keys` reads as *key*."""
    return f"{key.id} {base64.b64encode(key.secret).decode()}\n"


def _key(words: Sequence[str], *, number: int) -> MasterKey:
    if len(words) != 2 or not _ID.match(words[0]):
        raise InputError(f"{_EXPECTED}; the id has 1 to 64 letters, digits, '_' or '-': line {number} is another")
    try:
        secret = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{_EXPECTED}, line {number} holds no base64") from None
    if len(secret) != KEY_BYTES:
        raise InputError(f"{_EXPECTED}, line {number} holds {len(secret)} bytes")
    return MasterKey(id=words[0], secret=secret)
