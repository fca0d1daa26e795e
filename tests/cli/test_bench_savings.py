"""The bench of savings adds up what is really sent; its figures follow from the requests alone."""

import json
from pathlib import Path

import pytest

from retold.cli.bench_dialogues import Dialogue, dialogues_in, made_dialogue, shared_dialogues
from retold.cli.bench_savings import EVERYTHING, LANGCHAIN, Tally, reused, row, senders, tell
from retold.cli.bench_senders import Sent
from retold.errors import InputError
from retold.events import Window
from retold.formats.transcripts import split_lines

WINDOW = Window(hard_limit=9_000)


@pytest.fixture(scope="module")
def made() -> Dialogue:
    """Give a made session of eight turns, three times what the window takes."""
    return made_dialogue(8)


def _dialogue(*messages: dict[str, object]) -> Dialogue:
    lines = (json.dumps(message).encode() + b"\n" for message in messages)
    (found,) = dialogues_in(split_lines(lines), name="x")
    return found


def test_a_request_comes_before_each_reply() -> None:
    """A session of two replies, one with two calls, is two requests; what nobody answered any more is none."""
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in (1, 2)]
    found = _dialogue(
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "never answered"},
    )
    assert [len(step) for step in found.steps] == [2, 5]


def test_reuse_is_counted_to_the_byte() -> None:
    """What two requests share is their whole common messages, a comma after each, and the common start of the next."""
    a, b, c = (Sent(body=body, tokens=1) for body in (b"aaaa", b"bbXX", b"bbYY"))
    assert reused([a, b], [a, b, c]) == 10
    assert reused([a, b], [a, c]) == 5 + 2
    assert reused([b], [a]) == 0
    assert reused([], [a]) == 0


def test_a_row_weighs_what_was_saved_reused_and_paid() -> None:
    """Half of the tokens are half saved; a request that is all but a tenth cached costs a fifth less a hundredth."""
    everything = Tally(tokens=[100, 200], body_bytes=[100, 200], reused_bytes=[0, 100], compactions=0, input_limit=100)
    half = Tally(tokens=[50, 100], body_bytes=[50, 100], reused_bytes=[0, 90], compactions=1, input_limit=100)
    found = row("x", [half], [everything])
    assert (found.tokens, found.saved_percent, found.reused_percent, found.resent_bytes) == (150, 50, 90, 10)
    assert found.paid_percent == pytest.approx(100 * (50 + 10 + 9) / (100 + 100 + 10))
    assert (found.compactions, found.worst_percent) == (1, 100)


def test_all_is_reused_where_nothing_is_compacted(made: Dialogue) -> None:
    """Whoever sends everything sends what was sent before, and what is new."""
    tally = tell(made, senders(with_langchain=False)[EVERYTHING](WINDOW), WINDOW)
    assert tally.reused_bytes[1:] == tally.body_bytes[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ladder", "agkit", "codex", "agent"])
def test_a_preset_stays_in_its_window_and_saves(made: Dialogue, name: str) -> None:
    """Each preset's requests fit the window, are fewer tokens than everything, and are the same in every run."""
    known = senders(with_langchain=False)
    everything = tell(made, known[EVERYTHING](WINDOW), WINDOW)
    tally, again = (tell(made, known[name](WINDOW), WINDOW) for _ in range(2))
    assert tally == again
    assert max(everything.tokens) > WINDOW.input_limit
    assert max(tally.tokens) <= WINDOW.input_limit
    assert tally.compactions > 0
    assert sum(tally.tokens) < sum(everything.tokens)
    assert sum(tally.reused_bytes) < sum(tally.body_bytes)


@pytest.mark.slow
def test_langchain_is_asked_before_each_request(made: Dialogue) -> None:
    """LangChain's own middleware summarises once its trigger is reached, and sends its summary in front."""
    pytest.importorskip("langchain")
    sender = senders(with_langchain=True)[LANGCHAIN[0]](WINDOW)
    tally = tell(made, sender, WINDOW)
    assert tally.compactions > 0
    assert any(b"summary of the conversation" in sent.body for sent in sender.request()[:3])


def test_a_folder_without_transcripts_is_refused(tmp_path: Path) -> None:
    """When I name a folder that holds no session, I am told so."""
    with pytest.raises(InputError, match="found none"):
        shared_dialogues(tmp_path)
