"""Sessions as a model met them: what was said before each of its replies, read from transcripts or made.

What was said is taken alone: what was rolled back counts as said, and where an agent compacted its session by itself,
that is left out, for compacting is what is compared.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from retold.cli.demo_session import demo_session
from retold.client import read_lines
from retold.errors import InputError
from retold.events import Item, ItemAppended
from retold.fold.calibration import is_reply
from retold.formats import render
from retold.formats.transcripts import Happened, Line, Start, read_transcript, split_lines

_ENDINGS: Final = (".json", ".jsonl", ".traj")


class Dialogue(Struct, frozen=True, kw_only=True):
    """Hold a session by the requests that were made in it.

    Attributes:
        steps: what was said before each request and after the one before; a request follows each.
    """

    name: str
    steps: tuple[tuple[Item, ...], ...]


def shared_dialogues(folder: Path) -> list[Dialogue]:
    """Return the sessions of every transcript under *folder* that can be imported, by path; those with a request.

    Raises:
        InputError: if there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS and path.is_file())
    found = [one for path in files for one in dialogues_in(read_lines(path), name=str(path.relative_to(folder)))]
    if not found:
        raise InputError(f"expected transcripts under {folder}, found none: give --data FOLDER")
    return found


def made_dialogue(turns: int) -> Dialogue:
    """Return the demo's session with *turns* turns: the same on every machine."""
    lines = split_lines(f"{line}\n".encode() for line in demo_session(turns))
    (made,) = dialogues_in(lines, name=f"made, {turns} turns")
    return made


def dialogues_in(lines: Iterable[Line], *, name: str) -> Iterator[Dialogue]:
    """Yield the sessions of the transcript in *lines*; of what cannot be read, nothing."""
    said: dict[str, list[Item]] = {}
    session = ""
    for event in read_transcript(lines, name=name):
        match event:
            case Start():
                session = event.session
            case Happened(fact=ItemAppended(item=item)):
                said.setdefault(session, []).append(item)
            case _:
                pass
    for number, items in enumerate(said.values()):
        steps = tuple(_steps(items))
        if steps:
            yield Dialogue(name=f"{name}#{number}" if len(said) > 1 else name, steps=steps)


def _steps(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """Yield what was said before each reply; a reply's parts, results between them or not, come of one request.

    What the chat form cannot hold (sealed reasoning, opaque blocks) is left out, so that all are given the same.
    """
    step: list[Item] = []
    was_reply = True
    group: str | None = None
    for item in items:
        if not render((item,), "chat"):
            continue
        replies = is_reply(item)
        if replies and not was_reply and not (item.group is not None and item.group == group):
            yield tuple(step)
            step = []
        step.append(item)
        was_reply = replies
        group = item.group if replies else group
