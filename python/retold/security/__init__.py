"""Sealing: data keys of sessions, master keys around them, and what both give. Pure: keys come in as values."""

from retold.security.keys import KEY_BYTES, DataKey, MasterKey, MasterKeys, key_line, read_master_keys
from retold.security.ring import Ring
from retold.security.sealing import Cipher
from retold.security.summaries import (
    Binding,
    Opened,
    SealedSummary,
    is_sealed_summary,
    model_family,
    open_summary,
    seal_summary,
    source_hash,
    unseal,
)
from retold.security.wrapping import NONCE_BYTES, unwrap, wrap

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "Binding",
    "Cipher",
    "DataKey",
    "MasterKey",
    "MasterKeys",
    "Opened",
    "Ring",
    "SealedSummary",
    "is_sealed_summary",
    "key_line",
    "model_family",
    "open_summary",
    "read_master_keys",
    "seal_summary",
    "source_hash",
    "unseal",
    "unwrap",
    "wrap",
]
