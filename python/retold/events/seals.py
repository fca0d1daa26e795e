"""Sealed data: what stands in an event for a fact that only the holders of a key may read.

Only `data` is sealed. The envelope around it stays readable, and the chain is over the stored bytes, so that a session
is listed and its chain is proven without a key. What does the sealing is given in (`retold.security`).
"""

from typing import Protocol

import msgspec
from msgspec import Struct


class Sealed(Struct, frozen=True):
    """Hold sealed bytes.

    Attributes:
        key: the id of the data key that opens them.
        text: the bytes; in JSON, base64.
    """

    key: str
    text: bytes


class Seal(Protocol):
    """Seal and open with the keys of one session. Values to values: the same text at the same place seals the same."""

    def seal(self, text: bytes, *, bound: bytes) -> Sealed:
        """Seal *text*, so that it only opens together with *bound*: what says where it belongs.

        Raises:
            SealError: if there is no key to seal with.
        """
        ...

    def open(self, sealed: Sealed, *, bound: bytes) -> bytes | None:
        """Return the text, or None if *sealed* or *bound* is not what was sealed.

        Raises:
            SealError: if the key that *sealed* names is not there.
        """
        ...


class _Document(Struct):
    sealed: Sealed


class _Named(Struct):
    key: str


class _Label(Struct):
    sealed: _Named


_MARK = b'{"sealed":'
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Document)
_labels = msgspec.json.Decoder(_Label)


def is_sealed_document(document: bytes) -> bool:
    """Return whether *document* is one of `sealed_document`. No fact and no projection begins like it."""
    return document.startswith(_MARK)


def sealed_document(sealed: Sealed) -> bytes:
    """Return *sealed* as JSON."""
    return _encoder.encode(_Document(sealed=sealed))


def key_of_sealed(document: bytes) -> str | None:
    """Return the id of the key that *document* names, or None if it is not sealed. Does not decode the text."""
    if not is_sealed_document(document):
        return None
    try:
        return _labels.decode(document).sealed.key
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def read_sealed(document: bytes) -> Sealed | None:
    """Return what *document* holds, or None if it is not what `sealed_document` gives."""
    try:
        return _decoder.decode(document).sealed
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
