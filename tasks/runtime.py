"""What one worker process holds: its name, its queues, the jobs table, one loaded chain.

Name, queues and device travel in the environment, from the parent to the child it spawns.
"""

import os
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from storage import database
from storage.jobs import Jobs
from storage.kinds import Category
from storage.schema import Job
from storage.settings import settings

if TYPE_CHECKING:
    from tasks.chains import Chain
    from tasks.classifiers import Classifier

_NAME, _QUEUES, _DEVICE = "_PHOTOMEND_WORKER", "_PHOTOMEND_QUEUES", "_PHOTOMEND_DEVICE"
_loaded: "dict[Category, Chain]" = {}


@cache
def jobs() -> Jobs:
    """Return the jobs table of this process.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not this code's.

    """
    known = settings()
    table = Jobs.at(
        known.database, pause_seconds=known.pause_seconds, max_attempts=known.max_attempts
    )
    database.check(table.engine)
    return table


def become_worker(serving: Sequence[str], gpu: int | None = None) -> None:
    """Make this process, and the child it will have, a worker with a fresh name."""
    device = "cpu" if gpu is None else f"gpu {gpu}"
    os.environ |= {_NAME: uuid.uuid4().hex, _QUEUES: ",".join(serving), _DEVICE: device}


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
        prefer=next((category.value for category in _loaded), None),
    )  # fmt: skip


def loaded() -> bool:
    """Return whether this process holds networks."""
    return bool(_loaded) or classifier.cache_info().currsize > 0


@cache
def classifier() -> "Classifier":
    """Load the classifier."""
    from tasks.classifiers.lite import Lite  # networks are imported here and below, nowhere above

    return Lite()


def chain(category: Category) -> "Chain":
    """Load the chain for `category` in the place of any other."""
    from tasks.chains import lite

    if category not in _loaded:
        _loaded.clear()
        _loaded[category] = lite.load(category)
    return _loaded[category]
