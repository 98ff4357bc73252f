"""Hostile files between good photos: each good one is mended, and waits hardly longer than without them.

`PHOTOMEND_SOAK_GOOD=200` sets the number of good photos, and asserts how long they wait; there are five
hostile files for each.
"""

import os
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from storage.database import search
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import QUEUES, Decision, Degradation, Status
from tasks.imaging.degrade import degrade

sys.path.insert(0, str(Path(__file__).parent / "storage"))
from hostile_files import KINDS

pytestmark = pytest.mark.slow

GOOD = int(os.environ.get("PHOTOMEND_SOAK_GOOD", "6"))
HOSTILE_FOR_EACH, PARTS, SIDE = 5, 300, 500


def save_good(folder: Path, numbers: range) -> None:
    """Save crops of noisy photographs, each another one."""
    for number in numbers:
        rng = random.Random(number)
        photo = (data.astronaut(), data.coffee(), data.rocket())[number % 3]
        top, left = rng.randrange(photo.shape[0] - 380), rng.randrange(photo.shape[1] - 500)
        crop = photo[top : top + 380, left : left + SIDE].astype(np.float32) / np.float32(255)
        noisy = degrade(crop, Degradation.NOISE, seed=number)
        image = Image.fromarray((noisy * 255).round().astype(np.uint8))
        image.save(folder / f"good-{number}.jpg", quality=95)


def hostile() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents, a new number of parts after each round of all kinds."""
    parts = PARTS
    while True:
        for name in random.Random(parts).sample(sorted(KINDS), len(KINDS)):
            yield f"{parts}-{name}", KINDS[name](parts)
        parts += 1


def good_jobs(jobs: Jobs) -> list[Job]:
    return [job for job in search.jobs(jobs.engine, Filter()) if "good" in str(job.name)]


def queue_seconds(found: list[Job]) -> float:
    """Return the mean time from the record of a photo to its end."""
    return statistics.mean((job.finished_at or 0) - job.created_at for job in found)


def test_hostile_files_hardly_delay_good_photos(
    home: Path, jobs: Jobs, photomend: Callable[..., object], eventually: Callable[..., None]
) -> None:
    gallery = home / "gallery"

    def all_ended(number: int) -> bool:
        found = search.jobs(jobs.engine, Filter())
        waiting = [job for job in found if job.status in (Status.QUEUED, Status.RUNNING)]
        return len(found) >= number and not waiting

    photomend("watch", PHOTOMEND_ARRIVING_SECONDS="0")
    photomend("work", *QUEUES, PHOTOMEND_ARRIVING_SECONDS="0")
    save_good(gallery, range(1))  # the networks are loaded
    eventually(lambda: all_ended(1), seconds=300)
    save_good(gallery, range(1, 1 + GOOD))
    eventually(lambda: all_ended(1 + GOOD), seconds=60 + 20 * GOOD)
    alone = queue_seconds(good_jobs(jobs)[1:])
    files = hostile()
    for number in range(1 + GOOD, 1 + 2 * GOOD):
        for name, content in (next(files) for _ in range(HOSTILE_FOR_EACH)):
            (gallery / name).write_bytes(content)
        save_good(gallery, range(number, number + 1))
    eventually(lambda: all_ended(1 + GOOD * (2 + HOSTILE_FOR_EACH)), seconds=120 + 60 * GOOD)
    found = {str(job.name): job for job in good_jobs(jobs)}
    assert {job.decision for job in found.values()} == {Decision.RESTORED}
    mixed = [found[f"good-{number}.jpg"] for number in range(1 + GOOD, 1 + 2 * GOOD)]
    ratio = queue_seconds(mixed) / alone
    print(
        f"mean seconds from record to end: {alone:.1f} alone, ratio {ratio:.2f} with hostile files"
    )
    assert all(job.attempts == 0 for job in search.jobs(jobs.engine, Filter()))
    assert ratio <= 2 or "PHOTOMEND_SOAK_GOOD" not in os.environ
