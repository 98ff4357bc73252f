"""Folders and files of the state folder: only the user that photomend runs as may read them."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make_folder(folder: Path, database: str = "jobs.db") -> None:
    """Make a folder that only this user may enter.

    One that holds our database already was made by an older version, for others to read; it is
    closed to them. No other one is: it may be a home, or serve other programs too.
    """
    folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    if (folder / database).exists() and not folder.stat().st_mode & stat.S_ISVTX:
        _close(folder, FOLDER_MODE)


def make_file(file: Path) -> None:
    """Make an empty file that only this user may read, and its folder; close one that is there."""
    make_folder(file.parent, file.name)
    open_file(file).close()
    _close(file, FILE_MODE)


def open_file(file: Path, mode: str = "ab") -> IO[bytes]:
    """Open a file for writing, in binary mode; only this user may read it if it is new."""
    return open(file, mode, opener=lambda path, flags: os.open(path, flags, FILE_MODE))


def _close(path: Path, mode: int) -> None:
    """Take the rights on a file or folder from others; another user's stays as it is."""
    with suppress(PermissionError):
        if stat.S_IMODE(path.stat().st_mode) & ~mode:
            path.chmod(mode)
