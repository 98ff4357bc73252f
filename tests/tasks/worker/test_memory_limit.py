"""A photo that needs more memory than a worker's child may take costs the worker nothing."""

from pathlib import Path

import psutil
import pytest
from PIL import Image

from storage.database import search
from storage.database.jobs import Jobs
from storage.database.search import Filter
from storage.enums import QUEUES, Degradation, ErrorKind, Status

MEGABYTES = "900"


@pytest.mark.slow
def test_a_photo_beyond_the_memory_of_a_child_counts_attempts(
    home: Path, jobs: Jobs, take_photo, photomend, eventually
) -> None:
    noise = Image.effect_noise((7000, 7000), 40).convert("RGB")
    noise.save(home / "gallery/large.jpg", quality=60)
    take_photo("small.jpg", kind=Degradation.NOISE)
    given = {
        "PHOTOMEND_MAX_MEMORY_MEGABYTES": MEGABYTES,
        "PHOTOMEND_MAX_MEGAPIXELS": "200",
    }
    photomend("watch", **given)
    worker = photomend("work", *QUEUES, **given)

    def found() -> dict[str, Status]:
        return {str(job.name): job.status for job in search.jobs(jobs.engine, Filter())}

    eventually(lambda: found() == {"large.jpg": Status.FAILED, "small.jpg": Status.DONE}, 120)
    [large] = [job for job in search.jobs(jobs.engine, Filter()) if job.status is Status.FAILED]
    assert (large.error_kind, large.attempts) == (ErrorKind.MEMORY, 3)
    assert large.error == "there is not enough memory for it"
    [child] = psutil.Process(worker.pid).children()[-1:]
    [inside] = child.children()  # the jail in which it reads photos
    for process in (child, inside):
        assert process.rlimit(psutil.RLIMIT_DATA) == (900_000_000, 900_000_000)
