"""The aggregate that pyeventsourcing keeps a conversation in; loaded only where that package is installed.

It stands alone because the package finds a class again by the module that it is in.
"""

from pathlib import Path
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from retold.cli.bench_session import Message


class Conversation(Aggregate):  # type: ignore[misc] # the package may not be there when types are checked
    """Hold the messages that the model is sent."""

    @event("Started")  # type: ignore[untyped-decorator] # as above
    def __init__(self) -> None:
        self.messages: list[Message] = []

    @event("Told")  # type: ignore[untyped-decorator] # as above
    def tell(self, message: Message) -> None:
        """Take in one message."""
        self.messages.append(message)

    @event("Replaced")  # type: ignore[untyped-decorator] # as above
    def replace(self, first: int, last: int, new: list[Message]) -> None:
        """Let messages ``[first, last)`` make room for *new*."""
        self.messages[first:last] = new


def application(file: Path, *, snapshot_events: int) -> Any:
    """Return an application that records in the SQLite database *file*; 0 *snapshot_events*: without snapshots."""
    environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(file)}
    kind = _Snapshotting if snapshot_events else Application
    if snapshot_events:
        _Snapshotting.snapshotting_intervals = {Conversation: snapshot_events}
    return kind(environment)


class _Snapshotting(Application):  # type: ignore[misc] # as above
    is_snapshotting_enabled = True
