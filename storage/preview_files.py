"""The small pictures of a job, before and after, which a worker draws and the page shows."""

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage import atomic_files, private_files

FOLDER = "previews"
"""Folder of the previews in the state folder."""
JOBS_PER_FOLDER = 1000
BOX_NUMBERS = 4
LEFT = 0.9
"""Share of the bound that a sweep leaves: the next one is not due at once."""


@dataclass(frozen=True)
class Previews:
    """The files of a job's previews; None for one that is not there."""

    before: Path | None = None
    """The photo, its long side at most 1,600 pixels."""
    after: Path | None = None
    small: Path | None = None
    """The result, or else the photo, its long side at most 400 pixels: for lists."""
    crop_before: Path | None = None
    """Where most changed, at native size."""
    crop_after: Path | None = None
    box: tuple[float, float, float, float] | None = None
    """x, y, width and height of the crop, as fractions of the photo."""
    version: int = 0
    """When the newest of them was drawn, in milliseconds."""


NAMES = ("before", "after", "crop_before", "crop_after", "small")
OF_RESULT = ("after", "crop_before", "crop_after")
BOX = "box"


def of(state_dir: Path, job_id: int) -> Previews:
    """Return the previews of a job that are there."""
    found, version = dict[str, Path](), 0
    for name in NAMES:
        file = _file(state_dir, job_id, name)
        with suppress(OSError):
            status = file.stat()
            if stat.S_ISREG(status.st_mode):
                found[name] = file
                version = max(version, status.st_mtime_ns // 1_000_000)
    return Previews(**found, box=_box(_file(state_dir, job_id, BOX)), version=version)


def write(state_dir: Path, job_id: int, name: str, content: bytes) -> None:
    """Write a picture of a job, a WebP, or its box, which only this user can read."""
    file = _file(state_dir, job_id, name)
    private_files.make_folder(file.parent)
    temporary = file.with_name(f".{file.name}.{atomic_files.token()}.tmp")
    with private_files.open_file(temporary, "xb") as new:
        new.write(content)
    temporary.replace(file)  # it is not synced: one that is lost can be drawn again


def write_box(state_dir: Path, job_id: int, box: tuple[float, float, float, float]) -> None:
    """Write the box of a job's crops, as fractions of the photo."""
    write(state_dir, job_id, BOX, json.dumps([round(number, 5) for number in box]).encode())


def remove_result(state_dir: Path, job_id: int) -> None:
    """Remove the previews of a result that a job no longer has."""
    for name in (*OF_RESULT, BOX):
        _file(state_dir, job_id, name).unlink(missing_ok=True)


def share(state_dir: Path, earlier: int, job_id: int) -> None:
    """Give a job the previews of an earlier one, which has the same photo and result."""
    for name in (*NAMES, BOX):
        known, file = (_file(state_dir, each, name) for each in (earlier, job_id))
        if known.exists():
            private_files.make_folder(file.parent)
            with suppress(FileNotFoundError, FileExistsError):
                os.link(known, file)


def sweep(state_dir: Path, most_bytes: int) -> None:
    """Remove the oldest previews if all together take more than `most_bytes`."""
    files = [(file.stat(), file) for file in (state_dir / FOLDER).glob("*/*")]
    used = sum(found.st_size for found, _ in files)
    if used <= most_bytes:
        return
    for found, file in sorted(files, key=lambda each: each[0].st_mtime):
        if used <= LEFT * most_bytes:
            break
        file.unlink(missing_ok=True)
        used -= found.st_size


def _file(state_dir: Path, job_id: int, name: str) -> Path:
    suffix = "json" if name == BOX else "webp"
    folder = state_dir / FOLDER / str(job_id // JOBS_PER_FOLDER)
    return folder / f"{job_id}-{name.replace('_', '-')}.{suffix}"


def _box(file: Path) -> tuple[float, float, float, float] | None:
    with suppress(OSError, ValueError):
        numbers = json.loads(file.read_text())
        if len(numbers) == BOX_NUMBERS:
            x, y, width, height = map(float, numbers)
            return x, y, width, height
    return None
