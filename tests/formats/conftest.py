"""What the tests of transcripts share: a file written as values, and what its import gives."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from retold.events.facts import ItemAppended
from retold.events.items import Item
from retold.formats import Happened, Imported, Problem, Start, read_transcript, split_lines

Import = Callable[..., list[Imported]]


@pytest.fixture
def import_bytes() -> Import:
    """Give a function that imports a file's bytes."""

    def run(body: bytes, *, name: str = "file.jsonl", chunk_bytes: int = 1 << 16) -> list[Imported]:
        chunks = (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))
        return list(read_transcript(split_lines(chunks), name=name))

    return run


@pytest.fixture
def import_records(import_bytes: Import) -> Import:
    """Give a function that imports records, each written on a line of its own."""

    def run(*records: Any, name: str = "file.jsonl") -> list[Imported]:
        return import_bytes("".join(json.dumps(record) + "\n" for record in records).encode(), name=name)

    return run


@pytest.fixture
def facts_of() -> Callable[[list[Imported]], list[Any]]:
    """Give a function that returns the facts of an import, in order."""
    return lambda imported: [one.fact for one in imported if isinstance(one, Happened)]


@pytest.fixture
def items_of() -> Callable[[list[Imported]], list[Item]]:
    """Give a function that returns the items that an import appends, in order."""

    def appended(imported: list[Imported]) -> list[Item]:
        facts = [one.fact for one in imported if isinstance(one, Happened)]
        return [fact.item for fact in facts if isinstance(fact, ItemAppended)]

    return appended


@pytest.fixture
def errors_of() -> Callable[[list[Imported]], list[tuple[int, str]]]:
    """Give a function that returns the line and the reason of each error."""
    return lambda imported: [
        (one.line, one.reason) for one in imported if isinstance(one, Problem) and one.severity == "error"
    ]


@pytest.fixture
def notes_of() -> Callable[[list[Imported]], list[tuple[int, str]]]:
    """Give a function that returns the line and the reason of each note."""
    return lambda imported: [
        (one.line, one.reason) for one in imported if isinstance(one, Problem) and one.severity == "note"
    ]


@pytest.fixture
def starts_of() -> Callable[[list[Imported]], list[tuple[str, str]]]:
    """Give a function that returns the name and the kind of each session."""
    return lambda imported: [(one.session, one.kind) for one in imported if isinstance(one, Start)]
