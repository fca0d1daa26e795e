"""The measure of fidelity counts what it says: on histories made by hand, and in a tiny run of the command."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import msgspec
import pytest

from retold.cli import bench_planted
from retold.cli.bench_arguments import cuts_of, named_items, values_of
from retold.cli.bench_compactions import identifiers_in, points_of
from retold.cli.bench_evidence import read_chats, shares
from retold.cli.bench_planted import Claim, Phrases, make_session, stale_values, survives
from retold.cli.bench_strategies import KEEP_TAIL, USER_FIRST, size_of, strategies

Retold: TypeAlias = Callable[..., CompletedProcess[str]]

_CLAIM = Claim(type="constraint", subject="billing", value="9090", before=("8080",))
_OLD = "Use port 8080 for the billing service."
_NEW = "Actually, switch billing to port 9090."


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _spoken() -> dict[str, Phrases]:
    return msgspec.json.decode(bench_planted.PHRASES.read_bytes(), type=dict[str, Phrases])


@pytest.mark.parametrize(
    ("lines", "is_there"),
    [
        ([_NEW], True),
        ([_OLD], False),
        (["billing is slow", "port 9090"], False),
        (["Use port 90901 for billing."], False),
        (["计费billing的端口改成9090吧。"], True),
        (["Billing listens on 9090."], True),
    ],
)
def test_a_fact_survives_if_one_line_has_its_subject_with_its_latest_value(lines: list[str], is_there: bool) -> None:  # noqa: FBT001
    """Half of a fact, an older value or a longer number does not count."""
    assert survives(_CLAIM, [_user("\n".join(lines))]) is is_there


@pytest.mark.parametrize(
    ("history", "stale"),
    [
        ([_OLD, _NEW], 0),
        ([_NEW, _OLD], 1),
        ([_OLD], 1),
        ([_NEW], 0),
        ([f"written by a summary\n{_OLD}\n{_NEW}"], 1),
        (["billing moved from 8080 to 9090"], 0),
    ],
)
def test_an_old_value_is_stale_where_nothing_after_it_says_otherwise(history: list[str], stale: int) -> None:
    """What I said first and took back later is no fault; what a summary keeps of it, or what lost its update, is."""
    messages = [_user(text) for text in history]
    assert stale_values(_CLAIM, messages, lambda message: not message["content"].startswith("written")) == stale


def test_sessions_are_the_same_for_the_same_seed_and_say_every_fact() -> None:
    """A run can be repeated, and each fact that stands at the end was said, with its latest value, by the user."""
    for said in _spoken().values():
        for families in (said.tuned, said.held_out):
            rounds = make_session(said, families, "3")
            assert msgspec.json.encode(rounds) == msgspec.json.encode(make_session(said, families, "3"))
            everything = [message for one in rounds for message in one.messages if message["role"] == "user"]
            assert len(rounds[-1].claims) == sum(bench_planted.FIRSTS)
            assert all(survives(claim, everything) for claim in rounds[-1].claims)
            assert any(claim.before for claim in rounds[-1].claims)
            assert all(5_000 < size_of(one.messages) < 14_000 for one in rounds)


def test_no_phrase_is_in_both_sets() -> None:
    """What is held out is put in other words."""
    for said in _spoken().values():
        tuned = {phrase for family in said.tuned for phrase in (*family.first, *family.update)}
        held_out = {phrase for family in said.held_out for phrase in (*family.first, *family.update)}
        assert tuned.isdisjoint(held_out)


def test_every_strategy_keeps_within_its_budget() -> None:
    """No row of the table has more room than another."""
    said = _spoken()["en"]
    messages = make_session(said, said.tuned, "1")[0].messages
    for name, strategy in strategies().items():
        kept = strategy(messages, 2_000)
        assert kept is not None, name
        assert size_of(kept.messages) <= 2_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a folder with one short chat of BEAM and one trajectory of tau-bench."""
    folder = tmp_path / "beam" / "1"
    folder.mkdir(parents=True)
    said = ["My score rose to 92% on April 5.", "Good.", "I did 15 problems.", "Fine, 15 it is."]
    turns = [
        {"role": "user" if at % 2 == 0 else "assistant", "id": at, "content": text} for at, text in enumerate(said)
    ]
    questions = {"update": [{"source_chat_ids": {"first": [0], "second": [2]}}], "abstention": [{"question": "?"}]}
    (folder / "chat.json").write_text(json.dumps([{"turns": [turns[:2], turns[2:]]}]), encoding="utf-8")
    (folder / "probing_questions.json").write_text(json.dumps(questions), encoding="utf-8")
    (tmp_path / "tau-bench").mkdir()
    (tmp_path / "tau-bench" / "some.json").write_text(json.dumps([{"traj": _trajectory()}]), encoding="utf-8")
    return tmp_path


def _trajectory() -> list[dict[str, Any]]:
    def called(number: int, arguments: str) -> list[dict[str, Any]]:
        call = {"id": f"c{number}", "type": "function", "function": {"name": "find", "arguments": arguments}}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]

    result = {"role": "tool", "tool_call_id": "c1", "content": '{"reservation": "JG7FMM", "price": 12}'}
    return [
        {"role": "system", "content": "Help."},
        _user("I am mia_li_3668."),
        *called(1, '{"user": "mia_li_3668"}'),
        result,
        *called(2, '{"reservation": "JG7FMM", "seats": 12, "note": "not said before"}'),
    ]


def test_evidence_is_measured_over_the_turns_that_questions_name(data: Path) -> None:
    """Numbers and words of the named turns count, others do not."""
    (chat,) = read_chats(data)
    assert chat.evidence == {0, 2}
    assert shares(chat, "") == (0, 0)
    assert shares(chat, "My score rose to 92% on April 5.\nI did 15 problems.") == (
        1,
        0.5,
    )  # a turn of four words has none
    assert shares(chat, "it rose to 92% there") == (1 / 3, 0)


def test_a_value_is_needed_if_a_later_call_has_it_and_something_said_before_has_it(data: Path) -> None:
    """Values that are new in the later call, or too short to tell, are not asked for."""
    (messages,) = [json.loads(path.read_text())[0]["traj"] for path in data.glob("tau-bench/*.json")]
    assert [cut.needed for cut in cuts_of(messages)] == [{"mia_li_3668"}, {"JG7FMM"}]
    assert values_of('{"a": ["xyz", 12, 123, true], "b": null}') == {"xyz", "123"}
    assert values_of("no json") == set()


def test_items_are_named_one_by_one_or_as_a_run() -> None:
    """What a placeholder or a summary names can be asked for."""
    assert named_items("restore item i12 to read it; stands for i3-i5, s1") == {"i12", "i3", "i4", "i5"}


def test_identifiers_after_a_recorded_compaction_are_those_that_stood_before_it(tmp_path: Path) -> None:
    """A path that the agent uses again counts; one that it meets later for the first time does not."""

    def message(role: str, text: str) -> dict[str, Any]:
        kind = "input_text" if role == "user" else "output_text"
        return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}

    summary = {"message": "sum", "replacement_history": [message("user", "sum")]}
    records = [
        {"type": "session_meta", "payload": {"id": "one"}},
        {"type": "response_item", "payload": message("user", "Look at src/old_name.py and ask #12.")},
        {"type": "compacted", "payload": summary},
        {"type": "response_item", "payload": message("assistant", "Now src/old_name.py, then src/new_name.py.")},
    ]
    path = tmp_path / "rollout.jsonl"
    path.write_text("\n".join(json.dumps({"timestamp": "", **record}) for record in records), encoding="utf-8")
    (point,) = points_of(path)
    assert point.needed == {"src/old_name.py"}
    assert identifiers_in("see https://a.b/c and load_file in x.py, commit 1a2b3c4") == {
        "https://a.b/c",
        "load_file",
        "x.py",
        "1a2b3c4",
    }


def test_the_command_gives_one_document(retold: Retold, data: Path) -> None:
    """I get each part's figures as one JSON document, those of parts that were not asked for empty."""
    words = ("bench", "fidelity", "--part", "evidence", "--part", "arguments", "--data", data, "--json")
    done = retold(*words, "--strategy", KEEP_TAIL, "--strategy", USER_FIRST)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {one["strategy"] for one in found["evidence"]} == {KEEP_TAIL, USER_FIRST}
    assert found["evidence"][0]["literals"] == 1
    assert found["arguments"][0]["cuts"] == 2
    assert found["planted"] == found["identifiers"] == []


def test_the_command_prints_tables(retold: Retold, data: Path) -> None:
    """A person sees a row for each strategy, and what is required beside what came out."""
    done = retold("bench", "fidelity", "--part", "evidence", "--data", data, "--strategy", "ladder")
    assert done.returncode == 0, done.stderr
    assert "ladder" in done.stdout
    assert "literals of the evidence at 8k" in done.stdout


@pytest.mark.parametrize("words", [("--part", "nothing"), ("--strategy", "nobody"), ("--sessions", "0")])
def test_a_wrong_option_is_named(retold: Retold, words: tuple[str, str]) -> None:
    """An option that cannot be is answered with what was expected and exit code 2."""
    done = retold("bench", "fidelity", *words)
    assert done.returncode == 2
    assert words[0] in done.stderr


def test_a_broken_file_is_named_without_its_text(retold: Retold, data: Path) -> None:
    """Data that is not what it should be is named by its path."""
    (data / "tau-bench" / "some.json").write_text("[{}]", encoding="utf-8")
    done = retold("bench", "fidelity", "--part", "arguments", "--data", data)
    assert done.returncode == 2
    assert "some.json" in done.stderr
