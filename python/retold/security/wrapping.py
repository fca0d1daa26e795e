"""Data keys wrapped by master keys: what lies in the log's key bucket. Bound to the session, so none can be swapped."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retold.errors import InputError
from retold.security.keys import KEY_BYTES, DataKey, MasterKey

NONCE_BYTES = 12


def wrap(key: DataKey, *, master: MasterKey, bound: bytes, nonce: bytes) -> bytes:
    """Return *key* wrapped by *master*; *bound* says whose it is. *nonce* is 12 bytes of chance, never used again.

    Raises:
        InputError: if the secret or the nonce has another length.
    """
    if len(key.secret) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise InputError(f"expected a data key of {KEY_BYTES} bytes and a nonce of {NONCE_BYTES}, got other lengths")
    return nonce + AESGCM(master.secret).encrypt(nonce, key.secret, _place(key.id, master=master, bound=bound))


def unwrap(wrapped: bytes, *, key_id: str, master: MasterKey, bound: bytes) -> DataKey | None:
    """Return the data key, or None if it was not wrapped by *master*, under that id, for *bound*."""
    place = _place(key_id, master=master, bound=bound)
    try:
        secret = AESGCM(master.secret).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], place)
    except (InvalidTag, ValueError):
        return None
    return DataKey(id=key_id, secret=secret)


def _place(key_id: str, *, master: MasterKey, bound: bytes) -> bytes:
    return b"retold 1 key %d:%b%d:%b%b" % (len(master.id), master.id.encode(), len(key_id), key_id.encode(), bound)
