"""Sealed summaries: each opens for whom it was sealed, and for nobody else; whatever is wrong looks the same."""

import base64
import random
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law

from retold.errors import InputError, UnsealError
from retold.events import SummaryField
from retold.security import (
    Binding,
    MasterKey,
    MasterKeys,
    SealedSummary,
    is_sealed_summary,
    model_family,
    open_summary,
    seal_summary,
    source_hash,
    unseal,
)

OLD, NEW = MasterKey(id="k1", secret=bytes(range(32))), MasterKey(id="k2", secret=bytes(range(32, 64)))
KEYS = MasterKeys(keys=(NEW, OLD))
HERE = Binding(tenant="acme", family="gpt", session="agent-42")
SUMMARY = SealedSummary(
    text="The build fails in the linker. 链接器失败。",
    source=source_hash(["Why does it fail?"]),
    fields=(SummaryField(name="facts", lines=("Build 4711 fails.",), seqs=(3, 4)),),
    covers=("i1", "i2"),
)
MUTANTS = 10_000
MESSAGE = str(UnsealError(""))


def why_refused(text: str, binding: Binding = HERE, keys: MasterKeys = KEYS) -> str:
    """Return why *text* does not open, and see that whoever sent it is not told."""
    with pytest.raises(UnsealError) as caught:
        open_summary(text, binding, keys=keys)
    error = caught.value
    assert isinstance(error, InputError)
    assert (str(error), error.args) == (MESSAGE, (MESSAGE,))
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    return error.why


@law(100)
@given(st.text(max_size=300), st.text(max_size=20), st.text(max_size=20), st.none() | st.text(max_size=20))
def test_what_was_sealed_opens_where_it_belongs(text: str, tenant: str, family: str, session: str | None) -> None:
    """Whatever my summary says and wherever it belongs, it opens there as it was, and sealed again is the same text."""
    summary, binding = SealedSummary(text=text, source="s"), Binding(tenant, family, session)
    sealed = seal_summary(summary, binding, keys=KEYS)
    assert open_summary(sealed, binding, keys=KEYS) == summary
    assert seal_summary(summary, binding, keys=KEYS) == sealed
    assert is_sealed_summary(sealed)


def test_the_owner_reads_it_without_knowing_where_it_belongs() -> None:
    """Who holds the key and names the tenant learns all that was sealed, and which key it was."""
    opened = unseal(seal_summary(SUMMARY, HERE, keys=KEYS), tenant="acme", keys=KEYS)
    assert (opened.summary, opened.binding, opened.key) == (SUMMARY, HERE, "k2")


@pytest.mark.parametrize(
    ("elsewhere", "why"),
    [
        (Binding("other", "gpt", "agent-42"), "damaged or another tenant's"),
        (Binding("acme", "claude", "agent-42"), "family"),
        (Binding("acme", "gpt", "agent-43"), "session"),
        (Binding("acme", "gpt", None), "session"),
    ],
)
def test_it_does_not_open_elsewhere(elsewhere: Binding, why: str) -> None:
    """Another tenant, another family of models, or another session than it was sealed for: nothing comes out."""
    assert why_refused(seal_summary(SUMMARY, HERE, keys=KEYS), elsewhere) == why


def test_one_that_was_bound_to_no_session_opens_in_each_of_the_tenant_s() -> None:
    """Where no session was known, tenant and family alone decide."""
    sealed = seal_summary(SUMMARY, Binding("acme", "gpt"), keys=KEYS)
    for session in (None, "agent-42"):
        assert open_summary(sealed, Binding("acme", "gpt", session), keys=KEYS) == SUMMARY
    assert why_refused(sealed, Binding("acme", "claude")) == "family"


def test_old_keys_open_and_only_the_first_seals() -> None:
    """After a rotation my old summaries open; without the old key they do not, and the operator learns why."""
    sealed = seal_summary(SUMMARY, HERE, keys=MasterKeys(keys=(OLD,)))
    assert open_summary(sealed, HERE, keys=KEYS) == SUMMARY
    assert seal_summary(SUMMARY, HERE, keys=KEYS).startswith("retold.1.k2.")
    assert why_refused(sealed, keys=MasterKeys(keys=(NEW,))) == "unknown key"
    forged = MasterKeys(keys=(MasterKey(id="k1", secret=bytes(32)),))
    assert why_refused(sealed, keys=forged) == "damaged or another tenant's"


def test_no_name_is_in_the_clear() -> None:
    """Tenant, session, model and text cannot be read, nor guessed by hashing, in what an agent carries."""
    sealed = seal_summary(SUMMARY, HERE, keys=KEYS)
    body = base64.urlsafe_b64decode(sealed.split(".")[-1] + "==")
    for name in ("acme", "agent-42", "gpt", "linker", SUMMARY.source):
        assert name not in sealed
        assert name.encode() not in body
        assert bytes.fromhex(source_hash([name]))[:16] not in body


@pytest.mark.parametrize("foreign", ["gAAAAABo-a-provider's-own", "", "retold", "RETOLD.1.k2.AAAA", "v1.k2.AAAA"])
def test_a_provider_s_own_block_is_told_apart(foreign: str) -> None:
    """What a provider sealed is not taken for ours, so that it can be passed on; opened as ours, it is refused."""
    assert not is_sealed_summary(foreign)
    assert why_refused(foreign) == "not ours"


def _flipped(sealed: str, chance: random.Random) -> str:
    at = chance.randrange(len(sealed))
    return sealed[:at] + chr(ord(sealed[at]) ^ 1 << chance.randrange(7)) + sealed[at + 1 :]


def _flipped_body(sealed: str, chance: random.Random) -> str:
    head, _, encoded = sealed.rpartition(".")
    body = bytearray(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}"


def _truncated(sealed: str, chance: random.Random) -> str:
    return sealed[: chance.randrange(len(sealed))]


def _without_some(sealed: str, chance: random.Random) -> str:
    at = chance.randrange(len(sealed))
    return sealed[:at] + sealed[at + chance.randint(1, 9) :]


def _inserted(sealed: str, chance: random.Random) -> str:
    at = chance.randrange(len(sealed) + 1)
    return sealed[:at] + chance.choice(string.printable + "=é\u200b") * chance.randint(1, 4) + sealed[at:]


def _swapped(sealed: str, chance: random.Random) -> str:
    """Take a part of the head or a run of the body from a summary of another session, key or family."""
    binding = chance.choice(
        [Binding("acme", "gpt", "b"), Binding("acme", "claude", "agent-42"), Binding("acme", "gpt")]
    )
    keys = MasterKeys(keys=(chance.choice([OLD, NEW]),))
    other = seal_summary(SealedSummary(text=SUMMARY.text, source=str(chance.random())), binding, keys=keys)
    ours, theirs = (base64.urlsafe_b64decode(one.split(".")[-1] + "==") for one in (sealed, other))
    start = chance.choice([0, 16, 32, 48, 60])
    end = chance.choice([end for end in (16, 32, 48, 60, len(ours)) if end > start])
    body = ours[:start] + theirs[start:end] + ours[end:]
    key_id = chance.choice(["k1", "k2"]) if chance.random() < 0.5 else "k2"
    return f"retold.1.{key_id}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}"


def _respelled(sealed: str, chance: random.Random) -> str:
    """Spell the same bytes in another way that a lenient reader takes."""
    head, _, encoded = sealed.rpartition(".")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    stray = alphabet[alphabet.index(encoded[-1]) ^ 1]
    ways = [
        f"{encoded}=",
        f"{encoded}==",
        f"{encoded[:-1]}{stray}" if len(encoded) % 4 else f"{encoded}A",
        encoded.replace("-", "+").replace("_", "/") + "\n",
        f"{encoded[:8]}\n{encoded[8:]}",
        f" {encoded}",
        f"{encoded}\u00a0",
    ]
    return f"{head}.{chance.choice(ways)}"


def _other_head(sealed: str, chance: random.Random) -> str:
    _, version, key_id, body = sealed.split(".")
    heads = [f"retold.2.{key_id}", f"retold..{key_id}", f"retold.{version}.k1", f"retold.{version}.K2", "retold.1.", ""]
    heads += [f"retold.1.{key_id}.{key_id}", f"retold.01.{key_id}", f"retold.1.{key_id} ", "retold.\u0661.k2"]
    return f"{chance.choice(heads)}.{body}"


_WAYS: tuple[Callable[[str, random.Random], str], ...] = (
    _flipped,
    _flipped_body,
    _truncated,
    _without_some,
    _inserted,
    _swapped,
    _respelled,
    _other_head,
)


def test_ten_thousand_changed_summaries_are_all_refused() -> None:
    """Flipped, cut, stretched, mixed of two, or spelled otherwise: not one of 10,000 opens, and all look alike."""
    chance = random.Random(7)
    sealed = [seal_summary(SealedSummary(text="x" * n, source=str(n)), HERE, keys=KEYS) for n in range(4)]
    refused = 0
    for number in range(MUTANTS):
        whole = sealed[number // len(_WAYS) % len(sealed)]
        changed = _WAYS[number % len(_WAYS)](whole, chance)
        if changed != whole:
            why_refused(changed)
            refused += 1
    assert refused >= MUTANTS * 0.99


def test_a_family_is_that_of_the_maker_s_models() -> None:
    """A smaller model of the same maker reads what the larger one's summary says; another maker's does not."""
    assert [model_family(name) for name in ("gpt-5.1-codex", "openai/o4-mini", "codex-mini-latest")] == ["gpt"] * 3
    assert [model_family(name) for name in ("claude-opus-4-8", "anthropic/claude-sonnet-5")] == ["claude"] * 2
    assert (model_family("qwen3-coder:30b"), model_family("5"), model_family("")) == ("qwen", "", "")


def test_a_source_hash_tells_entries_apart() -> None:
    """The same letters in other entries are another source."""
    assert len({source_hash(texts) for texts in (["ab"], ["a", "b"], ["", "ab"], ["ab", ""], [])}) == 5
