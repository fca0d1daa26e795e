"""Backups: sessions as files, event by event and byte by byte; written, proven, put back, and mended from."""

from retold.backup.files import Backup, Export, open_source
from retold.backup.restoring import Restored, restore
from retold.backup.writing import Written, write

__all__ = [
    "Backup",
    "Export",
    "Restored",
    "Written",
    "open_source",
    "restore",
    "write",
]
