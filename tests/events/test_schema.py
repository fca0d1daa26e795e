"""The schema of what is stored: it changes only by a new version, and every version comes to the same history for ever.

``python tests/events/test_schema.py`` writes the schema of the present version anew: only while no release has
written it.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from retold.errors import CorruptLogError
from retold.events import FACTS, VERSION, Head, Recorded, SessionKey, check_follows, decode
from retold.events.codec import UPCASTERS, Upcaster
from retold.fold import fold, history_of

HISTORIES = Path(__file__).parent / "histories"


def schema() -> dict[str, Any]:
    """Return every fact, and every type that one is made of, with its fields, their types and defaults."""
    facts, parts = msgspec.json.schema_components([FACTS[name] for name in sorted(FACTS)])
    assert len(facts) == len(FACTS)
    found: dict[str, Any] = json.loads(msgspec.json.encode({name: _plain(parts[name]) for name in sorted(parts)}))
    return found


def _plain(part: Any) -> Any:
    """Leave out what says nothing about bytes: titles and descriptions."""
    if isinstance(part, dict):
        is_field = "type" in part or "properties" in part or "$ref" in part or "anyOf" in part
        left_out = {"title", "description"} if is_field else set()
        return {name: _plain(value) for name, value in part.items() if name not in left_out or isinstance(value, dict)}
    return [_plain(one) for one in part] if isinstance(part, list) else part


def _changes(stored: dict[str, Any], present: dict[str, Any]) -> list[str]:
    return sorted(name for name in stored.keys() | present.keys() if stored.get(name) != present.get(name))


def test_a_fact_changes_only_with_the_version() -> None:
    """The fields of what I have stored mean what they meant: they change only where the version does."""
    stored = json.loads((HISTORIES / f"v{VERSION}.schema.json").read_text(encoding="utf-8"))
    changed = _changes(stored, schema())
    assert changed == [], (
        f"{changed} changed: raise VERSION, add an upcaster and a history; or, if no release has written version "
        f"{VERSION} yet, run this file"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda fact: fact["properties"].pop("kept"),
        lambda fact: fact["properties"]["kept"].update(type="string"),
        lambda fact: fact["required"].remove("kept"),
        lambda fact: fact["properties"].update(more={"type": "integer", "default": 0}),
        lambda fact: fact["properties"]["prefix_kept"].update(default=1),
    ],
    ids=["field-gone", "other-type", "optional", "field-added", "other-default"],
)
def test_a_changed_field_is_found(change: Any) -> None:
    """A field that is gone, added, or of another type or default is found, by the name of what it is a part of."""
    changed = schema()
    change(changed["Receipt"])
    assert _changes(schema(), changed) == ["Receipt"]


def test_every_version_before_has_an_upcaster_and_a_history() -> None:
    """No version is left behind: each has its step to the next, its history and its schema."""
    assert sorted(UPCASTERS) == list(range(1, VERSION))
    for version in range(1, VERSION + 1):
        for ending in ("jsonl", "json", "schema.json"):
            assert (HISTORIES / f"v{version}.{ending}").is_file()


def _to_2(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Tell an appended item as a trial version 2 would: under another name, with another field."""
    return ("ItemAdded", {"what": data["item"], "note": ""}) if name == "ItemAppended" else (name, data)


def _to_3(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return ("ItemAppended", {"item": data["what"]}) if name == "ItemAdded" else (name, data)


def _to_wrong(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return ("ItemAppended", {"item": {**data["what"], "role": "user"}}) if name == "ItemAdded" else (name, data)


def _history_hash(upcasters: dict[int, Upcaster]) -> str:
    bodies = (HISTORIES / "v1.jsonl").read_bytes().splitlines()
    past = json.loads((HISTORIES / "v1.json").read_text(encoding="utf-8"))["history_before_erasure"]
    head, events = Head(), list[Recorded]()
    for body in bodies[: past["seq"]]:
        events.append(decode(body, upcasters=upcasters, version=3))
        event = events[-1].event
        check_follows(events[-1], head=head, key=SessionKey(event.tenant, event.session))
        head = events[-1].head
        assert events[-1].body == body
    return history_of(fold(events)).hash


def test_an_old_history_through_two_upcasters_is_the_same_history() -> None:
    """A session of version 1, read by a release of version 3, comes to the same hash; a wrong step shows."""
    past = json.loads((HISTORIES / "v1.json").read_text(encoding="utf-8"))["history_before_erasure"]
    assert _history_hash({1: _to_2, 2: _to_3}) == past["hash"]
    with pytest.raises(CorruptLogError, match="does not match what the events give"):
        _history_hash({1: _to_2, 2: _to_wrong})


if __name__ == "__main__":
    text = msgspec.json.format(msgspec.json.encode(schema()), indent=1)
    (HISTORIES / f"v{VERSION}.schema.json").write_bytes(text + b"\n")
