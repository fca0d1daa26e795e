"""Files as they are found: broken, cut off, binary, huge, empty, of some other tool."""

import json
from collections.abc import Callable, Iterator

import pytest

from retold.events.items import Item, Message, Text
from retold.formats import LINE_BYTES_MAX, Imported, Line, Problem, lines, read_transcript, split_lines
from retold.formats.transcripts import SNIFFED_RECORDS_MAX

Import = Callable[..., list[Imported]]
Items = Callable[[list[Imported]], list[Item]]
Told = Callable[[list[Imported]], list[tuple[int, str]]]

_GOOD = b'{"role": "user", "content": "hi"}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"role": "user", "content": "s3cret', "malformed line (character 29)"),
        (b'{"role": "user"} {"role": "s3cret"}', "malformed line (character 18)"),
        (b'["s3cret"]', "expected an object on the line, got a list"),
        (b'"s3cret"', "expected an object on the line, got a string"),
        (b'{"role": "user", "content": "s3cret \x00"}', "got a NUL byte at byte 36"),
        (b'{"role": "user", "content": "s3cret \xff"}', "got an invalid byte at byte 36"),
        (b'{"role": "user", "content": "s3cret", "n": NaN}', "JSON with finite numbers"),
        (b"[" * 100_000 + b"]" * 100_000, "not nested too deep"),
        (b'{"content": "s3cret"}', "expected a string at role"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_imported(
    import_bytes: Import, items_of: Items, errors_of: Told, line: bytes, reason: str
) -> None:
    """One damaged line costs one line: its number and what is wrong are told, its text is not."""
    imported = import_bytes(_GOOD + line + b"\n" + _GOOD)
    ((number, told),) = errors_of(imported)
    assert number == 2
    assert reason in told
    assert "s3cret" not in told
    assert len(items_of(imported)) == 2


def test_a_bad_first_line_does_not_hide_the_kind(import_bytes: Import, items_of: Items, errors_of: Told) -> None:
    """A file whose head was cut off in the middle of a line is still recognised by its other lines."""
    imported = import_bytes(b'tent": "cut,\n' + _GOOD + _GOOD)
    assert [number for number, _ in errors_of(imported)] == [1]
    assert len(items_of(imported)) == 2


def test_a_lone_surrogate_does_not_hide_a_document(
    import_bytes: Import, items_of: Items, errors_of: Told, notes_of: Told
) -> None:
    """A list on one line that holds a lone surrogate is imported whole, with a note that the surrogate was replaced."""
    imported = import_bytes(rb'[{"role": "user", "content": "a \ud83d"}, {"role": "user", "content": "b"}]')
    assert len(items_of(imported)) == 2
    assert errors_of(imported) == []
    assert [number for number, _ in notes_of(imported)] == [1]


def test_a_note_does_not_hide_why_a_file_was_given_up(import_bytes: Import, errors_of: Told) -> None:
    """When nothing of a file can be read, I get an error, whatever notes there are before it."""
    assert len(errors_of(import_bytes(rb'"a \ud83d"'))) == 1
    assert len(errors_of(import_bytes(rb'{"a": "\ud83d"}'))) == 1


def test_a_first_line_that_was_cut_does_not_make_a_document(
    import_bytes: Import, items_of: Items, errors_of: Told
) -> None:
    """A line that ends open and is followed by whole records is one bad line, not the start of one large document."""
    imported = import_bytes(b'{"role": "user",\n' + _GOOD + _GOOD)
    assert [number for number, _ in errors_of(imported)] == [1]
    assert len(items_of(imported)) == 2


def test_a_lone_surrogate_in_a_list_or_a_key_is_replaced_too(import_bytes: Import, notes_of: Told) -> None:
    """Wherever half a character stands, the record can be carried after its replacement."""
    body = b'{"role": "user", "content": [{"type": "x", "\\udc00": ["\\ud800"]}]}\n'
    imported = import_bytes(body)
    assert [number for number, _ in notes_of(imported)] == [1]
    assert "\N{REPLACEMENT CHARACTER}" in str(imported)


def test_a_last_line_that_is_being_written_is_named(import_bytes: Import, items_of: Items, errors_of: Told) -> None:
    """A transcript of a running agent may end in half a line."""
    imported = import_bytes(_GOOD + b'{"role": "assis')
    assert [number for number, _ in errors_of(imported)] == [2]
    assert len(items_of(imported)) == 1


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n"])
def test_an_empty_file_is_an_error(import_bytes: Import, body: bytes) -> None:
    """Nothing to import is told, not passed over."""
    assert import_bytes(body) == [Problem(1, "expected at least one record, got an empty file")]


def test_an_empty_list_is_an_error(import_bytes: Import) -> None:
    """A document without records is as empty as a file without lines."""
    assert import_bytes(b"[]") == [Problem(1, "expected a list of records, got an empty one")]


def test_an_unknown_kind_is_one_error(import_bytes: Import) -> None:
    """A file of another tool's gives one line that says what would be understood, not one a line."""
    imported = import_bytes(b'{"level": "info", "msg": "s3cret"}\n' * 5)
    (problem,) = imported
    assert isinstance(problem, Problem)
    assert "expected a Codex or Claude Code transcript" in problem.reason
    assert "s3cret" not in problem.reason


def test_a_text_file_is_one_error(import_bytes: Import) -> None:
    """A file that holds no JSON at all is given up by its first line."""
    imported = import_bytes(b"# notes\n" * 1000)
    assert imported == [Problem(1, "expected JSON, got a malformed line (character 1)")]


def test_a_file_is_given_up_without_reading_all_of_it() -> None:
    """A large file of another tool's is not read to its end to find that nothing is known."""
    taken = 0

    def unknown() -> Iterator[Line]:
        nonlocal taken
        for taken in range(1, 100_000):
            yield Line(taken, b"{}", 2)

    assert len(list(read_transcript(unknown(), name="x"))) == 1
    assert taken == SNIFFED_RECORDS_MAX


def test_lines_are_read_as_they_are_needed() -> None:
    """A file of any size is imported in the memory of its longest line."""
    taken: list[int] = []

    def endless() -> Iterator[Line]:
        number = 0
        while True:
            number += 1
            taken.append(number)
            body = b'{"type": "session_meta", "payload": {"id": "s"}}'
            if number > 1:
                item = {"type": "message", "role": "user", "content": []}
                body = json.dumps({"type": "response_item", "payload": item}).encode()
            yield Line(number, body, len(body))

    imported = read_transcript(endless(), name="x")
    for _ in range(50):
        next(imported)
    assert len(taken) <= 52


def test_a_line_over_the_limit_is_named_with_its_size(items_of: Items, errors_of: Told) -> None:
    """An oversized line is not held; the lines around it are imported."""
    good = [Line(1, _GOOD, len(_GOOD)), Line(2, b"", LINE_BYTES_MAX + 1), Line(3, _GOOD, len(_GOOD))]
    imported = list(read_transcript(good, name="x"))
    assert errors_of(imported) == [(2, f"expected a line of at most {LINE_BYTES_MAX} bytes, got {LINE_BYTES_MAX + 1}")]
    assert len(items_of(imported)) == 2


def test_a_document_over_the_limit_is_one_error(import_bytes: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that spans lines must be held whole, so it has a limit of its own."""
    monkeypatch.setattr(lines, "DOCUMENT_BYTES_MAX", 100)
    imported = import_bytes(json.dumps([{"role": "user", "content": "x" * 200}], indent=1).encode())
    (problem,) = imported
    assert isinstance(problem, Problem)
    assert "expected a document of at most 100 bytes" in problem.reason


def test_a_broken_document_is_one_error(import_bytes: Import) -> None:
    """A document that was cut off is one mistake, not one a line."""
    body = json.dumps([{"role": "user", "content": "x"}] * 50, indent=1).encode()
    imported = import_bytes(body[:-20])
    assert [type(one) for one in imported] == [Problem]


def test_a_lone_surrogate_is_replaced_and_noted(import_bytes: Import, items_of: Items, notes_of: Told) -> None:
    """Half an emoji, which real tools write, costs nothing but itself."""
    imported = import_bytes(b'{"role": "user", "content": "a\\ud83d b"}\n' + _GOOD)
    assert items_of(imported)[0] == Message(role="user", content=(Text("a\N{REPLACEMENT CHARACTER} b"),))
    assert [number for number, _ in notes_of(imported)] == [1]


def test_a_whole_emoji_in_escapes_is_left_alone(import_bytes: Import, items_of: Items, notes_of: Told) -> None:
    """Two halves that belong together are one character."""
    imported = import_bytes(b'{"role": "user", "content": "\\ud83d\\ude00"}\n')
    assert items_of(imported) == [Message(role="user", content=(Text("😀"),))]
    assert notes_of(imported) == []


def test_windows_line_ends_and_a_byte_order_mark_are_no_problem(import_bytes: Import, items_of: Items) -> None:
    """A transcript may have gone through an editor."""
    imported = import_bytes(b"\xef\xbb\xbf" + _GOOD.replace(b"\n", b"\r\n") * 2)
    assert len(items_of(imported)) == len(imported) - 1 == 2


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_the_file_is_cut(chunk_bytes: int) -> None:
    """Where a read ends is chance; lines, numbers and sizes do not depend on it."""
    body = b"one\n\n" + b"x" * 11 + b"\n" + b"y" * 10 + b"\nlast"
    chunks = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    assert list(split_lines(chunks, line_bytes_max=10)) == [
        Line(1, b"one", 3),
        Line(2, b"", 0),
        Line(3, b"", 11),
        Line(4, b"y" * 10, 10),
        Line(5, b"last", 4),
    ]
