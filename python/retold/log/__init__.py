"""The log remembers: events on NATS JetStream, in memory for tests, and a server of one's own to start with."""

from retold.log.embedded import EmbeddedServer, find_running, is_used
from retold.log.inspecting import inspect_server
from retold.log.jetstream import JetStreamLog, connect_log
from retold.log.memory import MemoryLog
from retold.log.names import APPEND_BYTES_MAX, APPEND_EVENTS_MAX, EVENT_BYTES_MAX
from retold.log.server_files import Profile, Running
from retold.log.streams import ServerFacts, StreamFacts

__all__ = [
    "APPEND_BYTES_MAX",
    "APPEND_EVENTS_MAX",
    "EVENT_BYTES_MAX",
    "EmbeddedServer",
    "JetStreamLog",
    "MemoryLog",
    "Profile",
    "Running",
    "ServerFacts",
    "StreamFacts",
    "connect_log",
    "find_running",
    "inspect_server",
    "is_used",
]
