"""Keep rejected results for a while, in a folder of the output root that programs for photos ignore.

Each day has a folder, and a file in it the name of its job and its content, without a suffix:
`.photomend-trash/2026-12-01/7-<SHA-256>`. A result is renamed first and its hash computed then. So
what its owner has changed meanwhile goes back; after a crash in between it stays in the trash,
because only a file that has the hash of its name is ever removed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from storage import atomic_files, beneath, publishing
from storage.beneath import Beneath

FOLDER = ".photomend-trash"


def put(result: Beneath, job_id: int, expected: str | None) -> bool:
    """Move a result to the trash if its SHA-256 is the expected one; return whether it is gone.

    Raises:
        OSError: it is on another disk than the output root, or cannot be moved.

    """
    found = publishing.sha256(result)
    if found is None or found != expected:
        return found is None
    day = Path(FOLDER, date.today().isoformat())  # the owner's day
    for folder in (Path(FOLDER), day):
        _make_folder(Beneath(result.root, folder))
    kept = Beneath(result.root, day / f"{job_id}-{expected}")
    with result.folder(os.O_RDONLY) as inside, kept.folder(os.O_RDONLY) as trash:
        return _move(inside, result.name, trash, kept.name, expected)


def _move(inside: int, name: str, trash: int, kept: str, expected: str) -> bool:
    try:
        beneath.rename_new(inside, name, kept, to=trash)
    except FileNotFoundError:
        return True
    if beneath.sha256_in(trash, kept) == expected:
        atomic_files.sync_open(trash)
        atomic_files.sync_open(inside)
        return True
    with suppress(FileExistsError):  # its owner made another one: both stay
        beneath.rename_new(trash, kept, name, to=inside)
    return False


def take_out(result: Beneath, job_id: int, expected: str) -> bool:
    """Give a result in the trash its name again; return False if it is not in the trash.

    After a lost database its job has another number; the content is the same.

    Raises:
        FileExistsError: something has its name.

    """
    for kept in _with_content(result.root, job_id, expected):
        if publishing.sha256(kept) != expected:
            continue
        with kept.folder(os.O_RDONLY) as trash, result.folder(os.O_RDONLY) as inside:
            beneath.rename_new(trash, kept.name, result.name, to=inside)
            atomic_files.sync_open(inside)
            atomic_files.sync_open(trash)
        return True
    return False


def of_job(root: Path, job_id: int) -> Iterator[Beneath]:
    """Yield the results of a job that are in the trash, the newest first."""
    return (file for file in _files(root) if file.name.partition("-")[0] == str(job_id))


def _with_content(root: Path, job_id: int, sha256: str) -> list[Beneath]:
    """Return what has the name of a result: those of its job first, then the newest."""
    found = [file for file in _files(root) if file.name.partition("-")[2] == sha256]
    return sorted(found, key=lambda file: file.name != f"{job_id}-{sha256}")


def empty(root: Path, days: int) -> list[Beneath]:
    """Remove what has been in the trash for more than `days` days; return what is not ours and stays."""
    last = date.today() - timedelta(days=days)
    others: list[Beneath] = []
    for day in [day for day in _days(root) if date.fromisoformat(day) < last]:
        for file in _in_day(root, day):
            if publishing.sha256(file) == file.name.partition("-")[2]:
                file.unlink()
            else:
                others.append(file)
        with suppress(OSError), beneath.folder(root, FOLDER) as trash:
            os.rmdir(day, dir_fd=trash)
    return others


def _files(root: Path) -> Iterator[Beneath]:
    """Yield what is in the trash, the newest day first."""
    return (file for day in _days(root) for file in _in_day(root, day))


def _in_day(root: Path, day: str) -> list[Beneath]:
    with suppress(FileNotFoundError), beneath.folder(root, Path(FOLDER, day)) as inside:
        return [Beneath(root, Path(FOLDER, day, name)) for name in os.listdir(inside)]  # noqa: PTH208
    return []


def _days(root: Path) -> Iterator[str]:
    """Yield the names of the folders in the trash, the newest first."""
    with suppress(FileNotFoundError), beneath.folder(root, FOLDER) as trash:
        for name in sorted(os.listdir(trash), reverse=True):  # noqa: PTH208
            with suppress(ValueError):
                date.fromisoformat(name)
                yield name


def _make_folder(folder: Beneath) -> None:
    """Make a folder with the permissions of the output root, unless it is there."""
    with folder.folder() as outer, suppress(FileExistsError):
        os.mkdir(folder.name, 0o700, dir_fd=outer)
        with beneath.folder(folder.root, folder.relative) as made, suppress(PermissionError):
            os.fchmod(made, os.stat(folder.root).st_mode & 0o777)  # noqa: PTH116
