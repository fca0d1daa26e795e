"""Other tools that keep conversations, given the same session: after each turn the messages that the model is sent.

Each gets what it takes least for: the messages that are new, or, after a compaction, those that took the place of
others. Each is asked for its own objects; they are compared with Retold's messages outside of what is timed.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final, Protocol

from retold.cli.bench_changes import State, changes
from retold.cli.bench_peers import PeerState
from retold.cli.bench_session import Message

SNAPSHOT_EVENTS: Final = 50
"""How often pyeventsourcing takes a snapshot where it takes them."""

_THREAD: Final = {"configurable": {"thread_id": "bench"}}


class Recorder(Protocol):
    """A tool that keeps a conversation's states and gives any of them back. *turn* counts from 0."""

    def record(self, states: Sequence[State]) -> None:
        """Keep the states, one a turn."""
        ...

    def state(self, turn: int) -> object:
        """Return the state after *turn* as the tool has it: what is timed."""
        ...

    def messages(self, state: object) -> list[Message]:
        """Return the messages of what `state` gave."""
        ...

    def close(self) -> None:
        """Let the files go."""
        ...


class LangGraph:
    """A graph of one node with LangGraph's own message channel and its SQLite checkpointer; a checkpoint a turn."""

    def __init__(self, folder: Path) -> None:
        graphs = import_module("langgraph.graph")
        self._language = import_module("langchain_core.messages")
        self._all: str = import_module("langgraph.graph.message").REMOVE_ALL_MESSAGES
        # LangGraph writes from threads of its own.
        self._database = sqlite3.connect(folder / "checkpoints.sqlite", check_same_thread=False)
        saver = import_module("langgraph.checkpoint.sqlite").SqliteSaver(self._database)
        built = graphs.StateGraph(graphs.MessagesState)
        built.add_node("agent", lambda _: {})
        built.add_edge(graphs.START, "agent")
        self._graph = built.compile(checkpointer=saver)
        self.turns: list[Any] = []

    def record(self, states: Sequence[State]) -> None:
        """Keep the states, one checkpoint each."""
        for state, made in zip(states, changes(states), strict=True):
            only_adds = all(change.adds_only for change in made)
            given = [message for change in made for message in change.new] if only_adds else state
            new = self._language.convert_to_messages(given)
            if not only_adds:
                new = [self._language.RemoveMessage(id=self._all), *new]
            self.turns.append(self._graph.update_state(_THREAD, {"messages": new}, as_node="agent"))

    def state(self, turn: int) -> object:
        """Return the state of the turn's checkpoint, which is known by its id."""
        return self._graph.get_state(self.turns[turn])

    def searched(self, turn: int) -> object:
        """Return the state of the turn's checkpoint, looked for from the newest back, as time travel is documented."""
        asked = self.turns[turn]["configurable"]["checkpoint_id"]
        for state in self._graph.get_state_history(_THREAD):
            if state.config["configurable"]["checkpoint_id"] == asked:
                return state
        raise LookupError(f"no checkpoint of turn {turn}")

    def messages(self, state: object) -> list[Message]:
        """Return the messages of *state*."""
        values: dict[str, Any] = vars_of(state)["values"]
        found: list[Message] = self._language.convert_to_openai_messages(values["messages"])
        return found

    def close(self) -> None:
        """Close the database."""
        self._database.close()


class EventSourcing:
    """pyeventsourcing: one aggregate, an event a message and one a compaction, its SQLite recorder."""

    def __init__(self, folder: Path, *, snapshots: bool) -> None:
        found = import_module("retold.cli.bench_aggregate")
        self._app = found.application(folder / "events.sqlite", snapshot_events=SNAPSHOT_EVENTS if snapshots else 0)
        self._aggregate = found.Conversation()
        self._versions: list[int] = []

    def record(self, states: Sequence[State]) -> None:
        """Keep the states, saved once a turn."""
        for made in changes(states):
            for change in made:
                if change.adds_only:
                    for message in change.new:
                        self._aggregate.tell(message=message)
                else:
                    self._aggregate.replace(first=change.first, last=change.last, new=list(change.new))
            self._app.save(self._aggregate)
            self._versions.append(self._aggregate.version)

    def state(self, turn: int) -> object:
        """Return the aggregate at the turn's version."""
        return self._app.repository.get(self._aggregate.id, version=self._versions[turn])

    def messages(self, state: object) -> list[Message]:
        """Return the messages of the aggregate."""
        found: list[Message] = vars_of(state)["messages"]
        return found

    def close(self) -> None:
        """Let the database go."""
        self._app.close()


def vars_of(found: object) -> dict[str, Any]:
    """Return the fields of an object of a peer, whichever way it keeps them."""
    fields: Callable[[], dict[str, Any]] | None = getattr(found, "_asdict", None)
    return vars(found) if fields is None else fields()


def installed(name: str, *distributions: str, call: str) -> PeerState:
    """Return whether a peer takes part: all of *distributions* are installed."""
    try:
        version = " + ".join(metadata.version(distribution) for distribution in distributions)
    except metadata.PackageNotFoundError:
        return PeerState(name=name, skipped=f"not installed: pip install {' '.join(distributions)}")
    return PeerState(name=name, version=version, call=call)


def settle(folder: Path) -> None:
    """Bring the journals of the databases in *folder* into them, as they are when nobody uses them."""
    for file in folder.glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def plain(messages: Sequence[Message]) -> list[Message]:
    """Return *messages* in one spelling: an empty text for none, arguments as values, keys that all tools keep."""
    return [_plain(message) for message in messages]


def _plain(message: Message) -> Message:
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    content = message.get("content")
    text = "".join(part["text"] for part in content) if isinstance(content, list) else content or ""
    return {"role": message["role"], "text": text, "calls": calls, "answers": message.get("tool_call_id")}
