"""The small pictures of a job, before and after, which a worker draws and the page shows."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER = "previews"
"""Folder of the previews in the state folder."""
JOBS_PER_FOLDER = 1000
BOX_NUMBERS = 4


@dataclass(frozen=True)
class Previews:
    """The files of a job's previews; None for one that is not there."""

    before: Path | None = None
    """The photo, its long side at most 1,600 pixels."""
    after: Path | None = None
    crop_before: Path | None = None
    """Where most changed, at native size."""
    crop_after: Path | None = None
    box: tuple[float, float, float, float] | None = None
    """x, y, width and height of the crop, as fractions of the photo."""


def of(state_dir: Path, job_id: int) -> Previews:
    """Return the previews of a job that are there."""
    start = state_dir / FOLDER / str(job_id // JOBS_PER_FOLDER) / str(job_id)
    files = {name: start.with_name(f"{start.name}-{name.replace('_', '-')}.webp") for name in NAMES}
    found = {name: file for name, file in files.items() if file.is_file()}
    return Previews(**found, box=_box(start.with_name(f"{start.name}-box.json")))


NAMES = ("before", "after", "crop_before", "crop_after")


def _box(file: Path) -> tuple[float, float, float, float] | None:
    with suppress(OSError, ValueError):
        numbers = json.loads(file.read_text())
        if len(numbers) == BOX_NUMBERS:
            x, y, width, height = map(float, numbers)
            return x, y, width, height
    return None
