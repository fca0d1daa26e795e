"""Files that are there whole or not at all, and directories, all of it also after a loss of power."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, suffix: str = ".new") -> None:
    """Put *content* in the place of the file at *path* in one step; *mode* is that of a new file, less the umask.

    It is written beside it first, under its name with *suffix*: let no two writers use the same. When this returns,
    the content and the name are on the disk. Killed in between, what is beside it may stay.

    Raises:
        OSError: if it cannot be written; what was there is there still.
    """
    draft = path.with_name(path.name + suffix)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_names(path.parent)


def make_directory(path: Path) -> None:
    """Make the directory at *path*, and those above it that are missing, for their owner alone.

    Raises:
        OSError: if one cannot be made.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in missing:
        _sync_names(one.parent)


def _sync_names(directory: Path) -> None:
    """Put the names in *directory* on the disk: the file system may else forget one, and what it names with it."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
