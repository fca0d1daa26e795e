"""The agents' side: sessions to append to and to read, and transcripts to import."""

from retold.client.appending import Appended, Expected
from retold.client.client import Client
from retold.client.compressing import Compression
from retold.client.importing import ImportReport, Pace, import_transcript, read_lines
from retold.client.session import Session

__all__ = [
    "Appended",
    "Client",
    "Compression",
    "Expected",
    "ImportReport",
    "Pace",
    "Session",
    "import_transcript",
    "read_lines",
]
