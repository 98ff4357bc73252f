"""What one worker process holds: its name, its queues, the jobs table, one loaded chain.

Name, queues and device travel in the environment, from the parent to the child it spawns.
"""

import os
import uuid
from collections.abc import Sequence
from functools import cache

from storage.database.jobs import Jobs, open_jobs
from storage.database.records import Job
from storage.enums import CLASSIFY, Category
from storage.settings import settings
from tasks import loading
from tasks.chains import Chain
from tasks.engines import engine_of
from tasks.verdict import Classifier

_NAME, _QUEUES, _DEVICE = "_PHOTOMEND_WORKER", "_PHOTOMEND_QUEUES", "_PHOTOMEND_DEVICE"
_loaded: dict[tuple[Category, bool], Chain] = {}


@cache
def jobs() -> Jobs:
    """Return the jobs table of this process.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not this code's.

    """
    return open_jobs()


def become_worker(serving: Sequence[str], gpu: int | None = None) -> None:
    """Make this process, and the child it will have, a worker with a fresh name."""
    device = "cpu" if gpu is None else f"gpu {gpu}"
    os.environ |= {_NAME: uuid.uuid4().hex, _QUEUES: ",".join(serving), _DEVICE: device}
    os.environ["PYTHONSAFEPATH"] = "1"  # the child starts by `python -c` and may be anywhere


def worker() -> str:
    """Return the id of this start of this worker."""
    return os.environ[_NAME]


def queues() -> list[str]:
    """Return the queues that this worker serves."""
    return os.environ[_QUEUES].split(",")


def device() -> str:
    """Return the device that this worker computes on."""
    return os.environ[_DEVICE]


def claim() -> Job | None:
    """Claim the most urgent job for this process; one for the loaded chain, if there is any."""
    known = settings()
    return jobs().claim(
        worker(), queues(), child=os.getpid(), seconds=known.deadline_seconds,
        seconds_per_megapixel=known.deadline_seconds_per_megapixel,
        prefer=next((category.value for category, _ in _loaded), None),
    )  # fmt: skip


def loaded() -> bool:
    """Return whether this process holds networks."""
    return bool(_loaded) or classifier.cache_info().currsize > 0


@cache
def classifier() -> Classifier:
    """Load the classifier that decides on a photo.

    Raises:
        ClassifierAway: it cannot be asked now.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    return loading.classifier(engine_of(CLASSIFY))


@cache
def measuring() -> Classifier:
    """Load the classifier that measures severities: the guard's, whatever engine is in use."""
    return loading.measuring()


def chain(category: Category, *, faces: bool = True) -> Chain:
    """Load the chain for `category` in the place of any other; without `faces` it changes none.

    Raises:
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    wanted = category, faces
    if wanted not in _loaded:
        _loaded.clear()
        _loaded[wanted] = loading.chain(engine_of(category.value), category, faces=faces)
    return _loaded[wanted]
