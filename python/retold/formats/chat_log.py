"""Stored messages of any form: one a line, a list of them, or objects that hold such a list.

- A conversation is an object with its messages under `messages`, `input`, `traj`, `trajectory`, `history` or
  `conversation` (request bodies, fine-tuning files, tau-bench, SWE-agent). Each is a session of its own.
- Messages that stand by themselves, one a line or as elements of the file's list, are one session.
- All messages of a session are of one form; the first that can only be of one decides. In a file of messages at most
  `UNDECIDED_MAX` are held until then; if none decides, they are chat.
- A session is named for the file and the conversation's own id (and trial), the second of a name with its number.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from retold.errors import InputError
from retold.events.facts import ItemAppended
from retold.events.items import Form
from retold.formats.detect import evidence_of
from retold.formats.expect import kind_of
from retold.formats.lines import Happened, Imported, Problem, Record, Start
from retold.formats.messages import read_message
from retold.formats.sessions import session_name, stem_of

UNDECIDED_MAX: Final = 1000
"""How many messages are held until one shows its form: more than any agent says before its first tool call."""

_LISTS: Final = ("messages", "input", "traj", "trajectory", "history", "conversation")
_IDS: Final = ("session_id", "conversation_id", "id", "task_id", "instance_id")
_PREAMBLES: Final = (("system", "system"), ("instructions", "developer"))
"""Fields of a request body that hold a prompt beside the messages, and the role that says it here."""


def conversation_in(value: dict[str, Any]) -> list[Any] | None:
    """Return the list of messages that the object *value* holds, or None if it holds none."""
    lists = (value[name] for name in _LISTS if isinstance(value.get(name), list))
    return next((found for found in lists if found and is_message(found[0])), None)


def is_message(value: Any) -> bool:
    """Tell whether *value* looks like a message of some form."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if "role" in value:
        return isinstance(value["role"], str)
    return isinstance(kind, str) and (kind in ("reasoning", "compaction") or kind.endswith(("_call", "_call_output")))


def read_chat_log(records: Iterable[Record | Problem], *, name: str) -> Iterator[Imported]:
    """Yield what stored messages say, session by session."""
    stem = stem_of(name)
    rest = iter(records)
    for record in rest:
        if isinstance(record, Problem):
            yield record
        elif conversation_in(record.value) is None:
            yield from _read_messages(chain([record], rest), session_name(stem))
        else:
            yield from _read_conversations(chain([record], rest), stem)


def _read_conversations(records: Iterable[Record | Problem], stem: str) -> Iterator[Imported]:
    taken: set[str] = set()
    for number, record in enumerate(records, start=1):
        if isinstance(record, Problem):
            yield record
            continue
        messages = conversation_in(record.value)
        if messages is None:
            yield Problem(record.line, f"expected an object that holds messages at {_place(record)}")
            continue
        name = _name_of(record, stem)
        name = session_name(name, str(number)) if name in taken else name
        taken.add(name)
        spoken = chain(_preamble(record.value), messages)
        inner = (Record(record.line, message, f"{record.at}[{index}]") for index, message in enumerate(spoken))
        yield from _read_messages(inner, name)


def _preamble(conversation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for field, role in _PREAMBLES:
        content = conversation.get(field)
        if content and isinstance(content, str | list):
            yield {"role": role, "content": content}


def _name_of(record: Record, stem: str) -> str:
    """Name a conversation for its own id; one that is alone in its file and has none for the file."""
    value = record.value
    own = next((str(value[name]) for name in _IDS if isinstance(value.get(name), str | int)), "")
    trial = str(value["trial"]) if isinstance(value.get("trial"), str | int) else ""
    return session_name(stem, own, trial)


def _read_messages(records: Iterable[Record | Problem], session: str) -> Iterator[Imported]:
    held: list[Record | Problem] = []
    rest = iter(records)
    form: Form | None = None
    for record in rest:
        held.append(record)
        form = _evidence(record)
        if form is not None or len(held) >= UNDECIDED_MAX:
            break
    form = form or "chat"
    yield Start(session, form)
    for record in chain(held, rest):
        yield from [record] if isinstance(record, Problem) else _read_one(record, form)


def _evidence(record: Record | Problem) -> Form | None:
    if isinstance(record, Problem):
        return None
    try:
        return evidence_of(record.value)
    except InputError:
        return None


def _read_one(record: Record, form: Form) -> Iterator[Imported]:
    value = record.value
    if not isinstance(value, dict):
        yield Problem(record.line, f"expected a message at {_place(record)}, got {kind_of(value)}")
        return
    try:
        items = read_message(_with_call_id(value), form)
    except InputError as error:
        where = f"{record.at}: " if record.at else ""
        yield Problem(record.line, f"{where}{error}")
        return
    for item in items:
        yield Happened(record.line, ItemAppended(item))


def _with_call_id(message: dict[str, Any]) -> dict[str, Any]:
    """Return a tool message with its call's id where SWE-agent writes it, in a list of one."""
    ids = message.get("tool_call_ids")
    if message.get("role") == "tool" and "tool_call_id" not in message and isinstance(ids, list) and len(ids) == 1:
        return message | {"tool_call_id": ids[0]}
    return message


def _place(record: Record) -> str:
    return record.at or "the line"
