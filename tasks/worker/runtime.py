"""The state of one worker process: its id, queues, device, jobs table and one loaded chain.

The parent passes id, queues and device to the child that it spawns in the environment.
"""

import logging
import os
import time
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from storage import memory
from storage.database import holds
from storage.database.jobs import Jobs, open_jobs
from storage.database.records import Job
from storage.enums import CLASSIFY, Category
from storage.settings import settings
from tasks import gpu_probe
from tasks.engines import engine_of, needs_device
from tasks.lite import gpu_trial

if TYPE_CHECKING:  # the watcher and the command line import no image library
    from tasks.chains import Chain
    from tasks.verdict import Classifier

log = logging.getLogger(__name__)

_NAME, _QUEUES, _DEVICE = "_PHOTOMEND_WORKER", "_PHOTOMEND_QUEUES", "_PHOTOMEND_DEVICE"
_loaded: "dict[tuple[Category, bool], Chain]" = {}
_loaded_at = [0.0]
"""When networks were loaded last, by the monotonic clock."""
RUN_SECONDS = 600.0
"""Longest time since networks were loaded in which their jobs come before more urgent ones."""


@cache
def jobs() -> Jobs:
    """Return the jobs table of this process.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not this code's.

    """
    return open_jobs()


def become_worker(serving: Sequence[str]) -> None:
    """Make this process, and the child that it will spawn, a worker with a new random id."""
    os.environ |= {_NAME: uuid.uuid4().hex, _QUEUES: ",".join(serving)}
    os.environ["PYTHONSAFEPATH"] = "1"  # the child starts by `python -c`, in any folder
    choose_device()


def choose_device() -> None:
    """Choose the device of this worker and of the children that it will spawn, by its engines."""
    on_gpu = any(needs_device(step) for step in queues())
    if gpu_probe.was_asked():
        gpu_probe.pass_on()
    os.environ[_DEVICE] = (gpu_probe.gpu().name if on_gpu else _gpu_of_lite()) or "cpu"
    if problem := gpu_problem():
        log.warning("lite mends on the CPU, since the GPU cannot be used: %s", problem)


def _gpu_of_lite() -> str:
    """Return the name of the GPU on which lite computes; empty if it does not."""
    if not gpu_trial.is_installed():
        return ""
    gpu_trial.pass_on()
    log.info("%s", gpu_trial.trial())
    return gpu_trial.trial().name if gpu_trial.trial().is_won else ""


def gpu_problem() -> str:
    """Return why lite takes steps in place of a GPU that cannot be used; empty if none is missed."""
    return gpu_probe.gpu().problem if gpu_probe.PASSED_ON in os.environ else ""


def worker() -> str:
    """Return this worker's id, which is new at each start."""
    return os.environ[_NAME]


def queues() -> list[str]:
    """Return the queues that this worker serves."""
    return os.environ[_QUEUES].split(",")


def device() -> str:
    """Return the device that this worker computes on."""
    return os.environ[_DEVICE]


def limit_memory(**_: object) -> None:
    """Limit the memory of this child; Celery calls this when it starts.

    Not on a GPU, whose driver maps memory of its own that nobody here can foresee.
    """
    if device() == "cpu":
        memory.limit(settings().memory_megabytes)


def claim(serving: Sequence[str] | None = None) -> Job | None:
    """Claim the most urgent job of all queues or of `serving`.

    Jobs of the loaded chain come first, or those to classify while the paper's classifier is loaded,
    for `RUN_SECONDS`: so photos are classified in runs and restored in runs, and no queue starves.
    """
    config = settings()
    return jobs().claim(
        worker(), queues() if serving is None else serving, child=os.getpid(), seconds=config.deadline_seconds,
        seconds_per_megapixel=config.deadline_seconds_per_megapixel,
        prefer=_preferred(),
    )  # fmt: skip


def run_is_over() -> bool:
    """Return whether the loaded networks have had their run."""
    return time.monotonic() - _loaded_at[0] > RUN_SECONDS


def is_on_gpu() -> bool:
    """Return whether this process holds networks on a GPU."""
    return device() != "cpu" and any(map(needs_device, loaded()))


def loaded() -> set[str]:
    """Return the queues whose networks this process holds."""
    chains = {category.value for category, _ in _loaded}
    return chains | ({CLASSIFY} if classifier.cache_info().currsize else set())


def _preferred() -> str | None:
    """Return the queue whose networks are dear to load again, None if they have had their run."""
    if run_is_over():
        return None
    chain = next((category.value for category, _ in _loaded), None)
    return chain or (CLASSIFY if needs_device(CLASSIFY) and loaded() else None)


@cache
def classifier() -> "Classifier":
    """Load the classifier of the engine in use; the paper's takes the place of a loaded chain.

    Raises:
        ClassifierUnavailable: it cannot answer now.
        GpuBusy: another worker may make room for it.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    from tasks import loading

    if needs_device(CLASSIFY):  # it has no room beside a chain on a GPU
        _loaded.clear()
    _loaded_at[:] = [time.monotonic()]
    return loading.classifier(engine_of(CLASSIFY), wait_for_room=_may_get_room())


def _may_get_room() -> bool:
    """Return whether another worker on this GPU may soon make room for the classifier."""
    own = jobs().engine, worker()
    return device() != "cpu" and holds.may_get_room(*own, seconds=2 * RUN_SECONDS)


def chain(category: Category, *, faces: bool = True) -> "Chain":
    """Load the chain of a category and unload any other; without `faces` it changes no face.

    The paper's classifier is unloaded, too: so each finds the same free memory, whatever came first.

    Raises:
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    from tasks import loading

    wanted = category, faces
    if wanted not in _loaded:
        _loaded.clear()
        if needs_device(CLASSIFY):
            classifier.cache_clear()
        _loaded_at[:] = [time.monotonic()]
        _loaded[wanted] = loading.chain(engine_of(category.value), category, faces=faces)
    return _loaded[wanted]
