"""Results that wait until the owner has looked at them: whole files in the state folder.

The receipt of the job names the file and its SHA-256, and why the guard refused it, if it did. What is
not that file any more is not published; then the photo is mended again.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from storage import atomic_files, private_files, publishing
from storage.database.records import Job

FOLDER = "to-review"
"""Folder of these results in the state folder."""
ENTRY = "waiting"
"""The entry of a receipt that names the result of a job."""
_NAME = re.compile(r"(\d+)\.\w+")
LEFT_SECONDS = 3600.0
"""Age from which no process writes an unfinished file any more."""


class Waiting(NamedTuple):
    """The result of one job."""

    name: str
    """Its file: the job's id and the suffix of the photo."""
    sha256: str
    refused: str | None = None
    """Why the guard refused it; None if it may be published."""

    def to_entry(self) -> dict[str, Any]:
        """Return what is added to the receipt of the job."""
        return {ENTRY: self._asdict()}


def of(job: Job) -> Waiting | None:
    """Return the result that waits, or waited, as the job's receipt names it."""
    entry = (job.receipt or {}).get(ENTRY)
    if not isinstance(entry, Mapping) or not _NAME.fullmatch(str(entry.get("name"))):
        return None
    refused = entry.get("refused")
    return Waiting(str(entry["name"]), str(entry.get("sha256")), refused and str(refused))


def file(state_dir: Path, job: Job) -> Path | None:
    """Return the file of a job's result; None if it is gone, or is not that result."""
    waiting = of(job)
    if waiting is None:
        return None
    path = state_dir / FOLDER / waiting.name
    return path if publishing.sha256(path) == waiting.sha256 else None


@contextmanager
def writing(state_dir: Path, name: str) -> Iterator[BinaryIO]:
    """Open a new file for a result; at the end it gets its name, and replaces an older one of its job."""
    folder = state_dir / FOLDER
    private_files.make_folder(folder)
    temporary = atomic_files.temporary_name(name)
    with atomic_files.draft(folder / name, temporary) as new:
        yield new.file
        atomic_files.put(new)


def listed(state_dir: Path) -> dict[int, Path]:
    """Return the files of all results, by the id of their job, and remove what killed writers left."""
    folder, found = state_dir / FOLDER, {}
    for path in folder.glob("*"):
        if name := _NAME.fullmatch(path.name):
            found[int(name[1])] = path
        elif time.time() - path.stat().st_mtime > LEFT_SECONDS:
            path.unlink()
    return found
