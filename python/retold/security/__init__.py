"""Sealing: data keys of sessions, master keys around them, and what both give. Pure: keys come in as values."""

from retold.security.keys import KEY_BYTES, DataKey, MasterKey, MasterKeys, key_line, read_master_keys
from retold.security.ring import Ring
from retold.security.sealing import Cipher
from retold.security.wrapping import NONCE_BYTES, unwrap, wrap

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "Cipher",
    "DataKey",
    "MasterKey",
    "MasterKeys",
    "Ring",
    "key_line",
    "read_master_keys",
    "unwrap",
    "wrap",
]
