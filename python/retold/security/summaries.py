"""Summaries as the `encrypted_content` of a compaction item: text that an agent carries and only Retold's owner reads.

A sealed summary is ``retold.1.<key id>.<body>``. The body is base64url without padding, of 61 or more bytes:

    session tag 16 | family tag 16 | source tag 16 | nonce 12 | sealed payload, with its own tag of 16 at the end

Rules:
- The key is made of the master key and the tenant, so another tenant's summary cannot be opened at all; no tenant's
  name is in it. Session, model family and source stand there as keyed hashes (tags): nothing is told without the key.
- All that stands before the nonce is additional data, letter by letter: version, key id and tags. Nothing of it can be
  changed, left out, or taken from another summary.
- Nonces are made of what is sealed, as `retold.security.sealing` explains. So equal summaries are equal text, which
  keeps prompt caches, and nothing is told by it but that.
- Nothing is compressed: a summary holds what the user said beside what a tool returned, and a length that depends on
  both would tell of one to whoever writes the other.
- There is one spelling. Base64 with padding, line breaks, another alphabet or stray last bits is refused.
- Whatever does not open raises one error with one message. Why is only in its attribute, for the operator's log.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from retold.errors import UnsealError
from retold.events import SummaryField
from retold.security.keys import MasterKey, MasterKeys

PREFIX = "retold."
"""How a sealed summary begins. What begins otherwise is a provider's own block, or nothing that is known here."""

VERSION = "1"

SUMMARY_CHARACTERS_MAX = 16 * 1024 * 1024
"""A longer one is not read: a summary has some thousand tokens."""

_TAG_BYTES = 16
_TAGS_BYTES = 3 * _TAG_BYTES
_NONCE_BYTES = 12
_BODY_BYTES_MIN = _TAGS_BYTES + _NONCE_BYTES + 16 + 1

_BODY = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)
_FAMILY = re.compile(r"[a-z]+")
_OPENAI = re.compile(r"o\d|chatgpt|codex|text-davinci")


class Binding(Struct, frozen=True):
    """Say where a summary belongs.

    Attributes:
        tenant: whose it is.
        family: of which models (`model_family`); empty is a family of its own.
        session: of which session; None where that is not known.
    """

    tenant: str
    family: str
    session: str | None = None


class SealedSummary(Struct, frozen=True):
    """Hold what a sealed summary says.

    Attributes:
        text: what a model is to be sent.
        source: the hash of what was summarised (`source_hash`).
        fields: the structured summary that *text* was rendered from, where there is one.
        covers: ids of the entries that it stands for, where they have any.
    """

    text: str
    source: str
    fields: tuple[SummaryField, ...] = ()
    covers: tuple[str, ...] = ()


class Opened(Struct, frozen=True):
    """Hold an opened summary, where it belongs, and the id of the master key that it was sealed with."""

    summary: SealedSummary
    binding: Binding
    key: str


class _Payload(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    summary: SealedSummary
    family: str
    session: str | None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Payload)


def is_sealed_summary(text: str) -> bool:
    """Return whether *text* claims to be ours, of whatever version; a provider's own block does not, and is not ours.

    One that claims it and does not open is to be refused, never passed on or left out.
    """
    return text.startswith(PREFIX)


def model_family(model: str) -> str:
    """Return the family of a model's name: ``gpt`` for ``openai/gpt-5.1-codex`` and ``o3``, ``qwen`` for ``qwen3:30b``.

    It is coarse, so that an agent may change to a smaller model of the same maker. Empty where the name has no letters.
    """
    name = model.rsplit("/", 1)[-1].lower()
    if _OPENAI.match(name):
        return "gpt"
    found = _FAMILY.match(name)
    return "" if found is None else found[0]


def source_hash(texts: Sequence[str]) -> str:
    """Return the hash of what was summarised, entry by entry, as 64 hex digits. O(characters)."""
    digest = sha256(b"%d" % len(texts))
    for text in texts:
        body = text.encode("utf-8", "surrogatepass")
        digest.update(b":%d:" % len(body))
        digest.update(body)
    return digest.hexdigest()


def seal_summary(summary: SealedSummary, binding: Binding, *, keys: MasterKeys) -> str:
    """Return *summary* sealed for *binding* with the current key. The same values give the same text. O(characters)."""
    master = keys.current
    key = _Key(master, binding.tenant)
    payload = _encoder.encode(_Payload(summary, binding.family, binding.session))
    tags = key.tags(binding, summary.source)
    bound = _head(master.id).encode() + tags
    nonce = key.nonce(bound, payload)
    body = tags + nonce + key.aead.encrypt(nonce, payload, bound)
    return _head(master.id) + base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def open_summary(text: str, binding: Binding, *, keys: MasterKeys) -> SealedSummary:
    """Return what *text* says, sealed by any of *keys*, for *binding*. O(characters).

    One that was bound to a session opens in that session alone; one that was not, in each of the tenant's.

    Raises:
        UnsealError: if it is not ours, not whole, not as it was written, sealed with another key, or for another place.
    """
    opened = unseal(text, tenant=binding.tenant, keys=keys)
    if opened.binding.family != binding.family:
        raise UnsealError("family")
    if opened.binding.session not in (None, binding.session):
        raise UnsealError("session")
    return opened.summary


def unseal(text: str, *, tenant: str, keys: MasterKeys) -> Opened:
    """Return what *text* says and where it belongs, for its owner, who need not know the session or the model.

    Raises:
        UnsealError: as `open_summary`, but for the session and the family.
    """
    master, body = _read(text, keys)
    key = _Key(master, tenant)
    tags, nonce = body[:_TAGS_BYTES], body[_TAGS_BYTES : _TAGS_BYTES + _NONCE_BYTES]
    bound = _head(master.id).encode() + tags
    try:
        payload = key.aead.decrypt(nonce, body[_TAGS_BYTES + _NONCE_BYTES :], bound)
        read = _decoder.decode(payload)
    except (InvalidTag, ValueError, RecursionError):
        raise UnsealError("damaged or another tenant's") from None
    binding = Binding(tenant=tenant, family=read.family, session=read.session)
    if not hmac.compare_digest(key.tags(binding, read.summary.source), tags):
        raise UnsealError("tags")
    return Opened(summary=read.summary, binding=binding, key=master.id)


class _Key:
    """Hold the keys of one tenant under one master key, each for one use."""

    def __init__(self, master: MasterKey, tenant: str) -> None:
        own = hmac.digest(master.secret, b"retold 1 summaries of " + _bytes(tenant), "sha256")
        self.aead = AESGCM(hmac.digest(own, b"text", "sha256"))
        self._nonces = hmac.digest(own, b"nonce", "sha256")
        self._tags = hmac.digest(own, b"tag", "sha256")

    def nonce(self, bound: bytes, payload: bytes) -> bytes:
        return hmac.digest(self._nonces, b"%d:%b%b" % (len(bound), bound, payload), "sha256")[:_NONCE_BYTES]

    def tags(self, binding: Binding, source: str) -> bytes:
        session = b"no session" if binding.session is None else b"session " + _bytes(binding.session)
        named = (session, b"family " + _bytes(binding.family), b"source " + _bytes(source))
        return b"".join(hmac.digest(self._tags, name, "sha256")[:_TAG_BYTES] for name in named)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _head(key_id: str) -> str:
    return f"{PREFIX}{VERSION}.{key_id}."


def _read(text: str, keys: MasterKeys) -> tuple[MasterKey, bytes]:
    """Return the master key that *text* names, and its body."""
    if not is_sealed_summary(text):
        raise UnsealError("not ours")
    parts = text.split(".")
    if len(parts) != 4 or len(text) > SUMMARY_CHARACTERS_MAX:
        raise UnsealError("format")
    _, version, key_id, encoded = parts
    if version != VERSION:
        raise UnsealError("version")
    master = keys.find(key_id)
    if master is None:
        raise UnsealError("unknown key")
    body = _decoded(encoded)
    if body is None or len(body) < _BODY_BYTES_MIN:
        raise UnsealError("format")
    return master, body


def _decoded(encoded: str) -> bytes | None:
    """Return the bytes that *encoded* spells in the one way that is ours; None for every other spelling."""
    if not _BODY.match(encoded):
        return None
    try:
        body = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return None
    return body if base64.urlsafe_b64encode(body).rstrip(b"=").decode() == encoded else None
