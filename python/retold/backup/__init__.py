"""Backups: sessions as files, event by event and byte by byte; written, proven, put back, and mended from."""

from retold.backup.files import Backup, Export, open_source
from retold.backup.repairing import Repaired, Replica, repair
from retold.backup.restoring import Copy, Restored, check_holds, prove, restore
from retold.backup.writing import Written, write

__all__ = [
    "Backup",
    "Copy",
    "Export",
    "Repaired",
    "Replica",
    "Restored",
    "Written",
    "check_holds",
    "open_source",
    "prove",
    "repair",
    "restore",
    "write",
]
