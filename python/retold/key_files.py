"""Files of master keys: read, and begun or added to with a new key. Only their owner may read what we write."""

import secrets
from pathlib import Path

from retold.errors import InputError, UnavailableError
from retold.security import KEY_BYTES, MasterKey, MasterKeys, key_line, read_master_keys
from retold.whole_files import make_directory, write_whole

KEY_FILE_BYTES_MAX = 64 * 1024
"""A longer file is not one of keys."""
_HEADER = (
    "# Retold's master keys. Without them nothing that they sealed can be read: keep a copy, away from the store's.\n"
)


def read_key_file(path: Path) -> MasterKeys:
    """Return the master keys in *path*; the first wraps.

    Raises:
        InputError: if there is no such file, or it is not one of keys; nothing of it is in the message.
    """
    try:
        with path.open("rb") as file:
            body = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InputError(f"expected a file of master keys at {path}: {error.strerror}") from None
    if len(body) > KEY_FILE_BYTES_MAX:
        raise InputError(f"expected a file of master keys at {path}, got one of more than {KEY_FILE_BYTES_MAX} bytes")
    try:
        return read_master_keys(body.decode())
    except UnicodeDecodeError:
        raise InputError(f"expected a file of master keys at {path}, got one that is not text") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def add_master_key(path: Path, key_id: str) -> MasterKey:
    """Put a new key named *key_id* first in *path*, begun where it is missing, and return it. All or nothing.

    Raises:
        InputError: if the file is not one of keys, or has a key of that id already.
        UnavailableError: if it cannot be written.
    """
    before = read_key_file(path).keys if path.exists() else ()
    key = MasterKey(id=key_id, secret=secrets.token_bytes(KEY_BYTES))
    text = _HEADER + "".join(key_line(one) for one in (key, *before))
    if read_master_keys(text).current != key:
        raise InputError(f"expected a key id of letters, digits, '_' or '-', got {len(key_id)} others")
    try:
        make_directory(path.parent)
        write_whole(path, text.encode(), mode=0o600, suffix=f".{secrets.token_hex(8)}")
    except OSError as error:
        raise UnavailableError(f"expected to write the key file {path}: {error.strerror}") from None
    return key
