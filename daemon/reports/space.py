"""Whether a folder's disk has the room that the settings ask for."""

import shutil
from pathlib import Path

from storage.settings import settings


def free_megabytes(folder: Path) -> int:
    """Return the free space of a folder, or of the nearest parent that exists."""
    return shutil.disk_usage(nearest_existing(folder)).free // 1_000_000


def shortage(folder: Path) -> str | None:
    """Return a sentence if the disk of a folder is too full; None if it has room."""
    free, required = free_megabytes(folder), settings().min_free_megabytes
    if free >= required:
        return None
    return f"{folder} has {free:,} MB free and needs {required:,}; make room"


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
