"""Seals: what was sealed opens with its key, at its place, unchanged, and in no other way."""

import json
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.errors import CorruptLogError, InputError, SealError
from retold.events import (
    Draft,
    Fact,
    Head,
    ItemAppended,
    Message,
    Recorded,
    SessionErased,
    SessionKey,
    SessionOpened,
    Text,
    Window,
    decode,
    record,
    standing,
)
from retold.security import (
    KEY_BYTES,
    Cipher,
    DataKey,
    MasterKey,
    Ring,
    key_line,
    read_master_keys,
    unwrap,
    wrap,
)
from retold.security.sealing import NONCE_BYTES

KEY = DataKey(id="0.1", secret=bytes(range(32)))
SESSION = SessionKey(tenant="acme", session="s")
TEXTS = st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda one: one * 200))


def ring(*keys: DataKey, current: str | None = None) -> Ring:
    """Return a ring of *keys* that seals with the last, or with *current*."""
    return Ring(keys, session="s", current=current or keys[-1].id)


def said(text: str, *, seq: int = 1, draft: str = "d", key: DataKey = KEY) -> Recorded:
    """Return an event that says *text*, sealed."""
    fact = ItemAppended(item=Message(role="user", content=(Text(text),)))
    drafts = [Draft(id=draft, at=datetime(2026, 1, 1, tzinfo=UTC), actor="test", data=fact)]
    return record(drafts, key=SESSION, head=Head(seq=seq - 1), seal=ring(key))[0]


@law(100)
@given(TEXTS, st.binary(max_size=60))
def test_what_was_sealed_opens(text: bytes, bound: bytes) -> None:
    """Whatever I seal opens again, byte for byte, and the same text at the same place gives the same bytes."""
    sealed = Cipher(KEY).seal(text, bound=bound)
    assert Cipher(KEY).open(sealed, bound=bound) == text
    assert Cipher(KEY).seal(text, bound=bound) == sealed


@law(100)
@given(TEXTS, st.binary(max_size=60), st.data())
def test_a_seal_that_was_touched_does_not_open(text: bytes, bound: bytes, data: st.DataObject) -> None:
    """One changed bit of the sealed bytes or of the place, or another key, and nothing comes out."""
    sealed = Cipher(KEY).seal(text, bound=bound)
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    assert Cipher(KEY).open(bytes(changed), bound=bound) is None
    assert Cipher(KEY).open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], bound=bound) is None
    assert Cipher(KEY).open(sealed, bound=bound + b"x") is None
    other = DataKey(id=KEY.id, secret=bytes(KEY_BYTES))
    renamed = DataKey(id="0.2", secret=KEY.secret)
    assert Cipher(other).open(sealed, bound=bound) is None
    assert Cipher(renamed).open(sealed, bound=bound) is None


def test_no_nonce_is_used_twice_for_two_texts_or_places() -> None:
    """However often an event is recorded again, at other places or with another text under its id, nonces differ."""
    cipher = Cipher(KEY)
    nonces: dict[bytes, set[tuple[bytes, bytes]]] = {}
    for number in range(20_000):
        text, bound = b"text %d" % (number % 200), b"place %d" % (number // 200)
        nonces.setdefault(cipher.seal(text, bound=bound)[:NONCE_BYTES], set()).add((text, bound))
    assert len(nonces) == 20_000
    assert all(len(uses) == 1 for uses in nonces.values())
    # Places and texts that only differ in where one ends and the other begins.
    assert cipher.seal(b"bc", bound=b"a")[:NONCE_BYTES] != cipher.seal(b"c", bound=b"ab")[:NONCE_BYTES]


def test_an_event_that_is_recorded_again_elsewhere_is_sealed_anew() -> None:
    """An append that was overtaken keeps its id and gets another sequence: its bytes share nothing but the envelope."""
    sealed = [json.loads(one.body)["data"]["sealed"] for one in (said("hi"), said("hi", seq=2), said("ho"), said("hi"))]
    assert len({one["text"][:16] for one in sealed}) == 3
    assert sealed[0] == sealed[3]


def test_a_sealed_event_shows_its_place_and_nothing_that_was_said() -> None:
    """Without the key I see whose event it is, where and of which type; what was said is not in its bytes."""
    recorded = said("the canary")
    wire = json.loads(recorded.body)
    assert b"canary" not in recorded.body
    assert list(wire["data"]) == ["sealed"]
    assert (wire["tenant"], wire["session"], wire["seq"], wire["type"]) == ("acme", "s", 1, "ItemAppended")
    assert standing(recorded.body).type == "ItemAppended"
    assert decode(recorded.body, seal=ring(KEY)) == recorded


def test_how_a_session_begins_is_never_sealed() -> None:
    """Openings and tombstones hold no content and stay readable without a key."""
    facts: list[Fact] = [SessionOpened(window=Window(hard_limit=1_000)), SessionErased(by="owner", reason="asked")]
    drafts = [
        Draft(id=str(at), at=datetime(2026, 1, 1, tzinfo=UTC), actor="t", data=one) for at, one in enumerate(facts)
    ]
    for recorded in record(drafts, key=SESSION, head=Head(), seal=ring(KEY)):
        assert decode(recorded.body) == recorded


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":1', b'"seq":2'),
        (b'"session":"s"', b'"session":"t"'),
        (b'"tenant":"acme"', b'"tenant":"acmf"'),
        (b'"type":"ItemAppended"', b'"type":"ItemExtended"'),
        (b'"actor":"test"', b'"actor":"tess"'),
        (b'"prev":"0', b'"prev":"1'),
        (b'"text":"', b'"text":"AAAA'),
        (b'"key":"0.1","text":"', b'"key":"0.1","text":1,"was":"'),
    ],
)
def test_a_sealed_event_that_was_moved_or_changed_is_damage(old: bytes, new: bytes) -> None:
    """A sealed fact belongs to its session, sequence, type and predecessor: anywhere else it is damage, never text."""
    body = said("secret").body
    assert old in body
    with pytest.raises(CorruptLogError) as damage:
        decode(body.replace(old, new), seal=ring(KEY))
    assert damage.value.seq in (1, 2)
    assert "secret" not in str(damage.value)


def test_a_missing_key_is_named() -> None:
    """Without the key I am told which one, and how to give it; it is no damage."""
    body = said("secret").body
    with pytest.raises(SealError, match=r"data key '0\.1'.*no key was given.*RETOLD_KEY_FILE"):
        decode(body)
    with pytest.raises(SealError, match="does not hold: it was destroyed"):
        decode(body, seal=ring(DataKey(id="0.2", secret=KEY.secret)))
    short = Ring([], session="s", current=None, missing={"0.1": "k7"})
    with pytest.raises(SealError, match="under master key 'k7', which was not given") as missing:
        decode(body, seal=short)
    assert missing.value.key == "k7"


@law(50)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12))
def test_a_wrapped_key_opens_under_its_master_and_place_alone(secret: bytes, nonce: bytes) -> None:
    """A data key comes out again for its session, under its id and master key, and for nobody else."""
    master, other = MasterKey(id="k1", secret=bytes(32)), MasterKey(id="k1", secret=bytes([1]) * 32)
    key = DataKey(id="0.1", secret=secret)
    wrapped = wrap(key, master=master, bound=b"acme/s", nonce=nonce)
    assert secret not in wrapped
    assert unwrap(wrapped, key_id="0.1", master=master, bound=b"acme/s") == key
    assert unwrap(wrapped, key_id="0.1", master=master, bound=b"acme/t") is None
    assert unwrap(wrapped, key_id="0.2", master=master, bound=b"acme/s") is None
    assert unwrap(wrapped, key_id="0.1", master=other, bound=b"acme/s") is None
    assert unwrap(wrapped[:-1], key_id="0.1", master=master, bound=b"acme/s") is None


def test_a_key_file_is_read_as_it_was_written() -> None:
    """The file of master keys holds one a line; the first wraps, and remarks are passed over."""
    keys = [MasterKey(id=f"k{number}", secret=os.urandom(32)) for number in range(3)]
    read = read_master_keys("# ours\n\n" + "".join(key_line(key) for key in keys))
    assert read.keys == tuple(keys)
    assert read.current == keys[0]
    assert (read.find("k2"), read.find("k9")) == (keys[2], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got no line"),
        ("k1", "line 1 is another"),
        ("k1 c2hvcnQ=", "line 1 holds 5 bytes"),
        ("\nk1 %%%%", "line 2 holds no base64"),
        ("k/1 " + "A" * 43 + "=", "line 1 is another"),
        (("k1 " + "A" * 43 + "=\n") * 2, "got one twice"),
        ("".join(f"k{n} {'A' * 43}=\n" for n in range(65)), "at most 64 master keys, got 65"),
    ],
)
def test_a_key_file_that_is_wrong_is_refused_without_quoting_it(text: str, words: str) -> None:
    """I am told which line is wrong and what was expected; nothing of the line is shown, for it may be a key."""
    with pytest.raises(InputError, match=words) as error:
        read_master_keys(text)
    assert "c2hvcnQ" not in str(error.value)
    assert "AAAA" not in str(error.value)


def test_no_key_shows_its_secret() -> None:
    """Printing a key, or what holds one, names it and no more."""
    secret = os.urandom(32)
    data, master = DataKey(id="d", secret=secret), MasterKey(id="m", secret=secret)
    shown = repr([data, master, Cipher(data), ring(data), read_master_keys(key_line(master))])
    assert "secret" not in shown
    assert repr(secret)[2:20] not in shown
