"""The state of one worker process: its id, queues, device, jobs table and one loaded chain.

The parent passes id, queues and device to the child that it spawns in the environment.
"""

import logging
import os
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from storage.database.jobs import Jobs, open_jobs
from storage.database.records import Job
from storage.enums import CLASSIFY, Category, EngineName
from storage.settings import settings
from tasks import gpu_probe
from tasks.engines import engine_of

if TYPE_CHECKING:  # the watcher and the command line import no image library
    from tasks.chains import Chain
    from tasks.verdict import Classifier

log = logging.getLogger(__name__)

_NAME, _QUEUES, _DEVICE = "_PHOTOMEND_WORKER", "_PHOTOMEND_QUEUES", "_PHOTOMEND_DEVICE"
_loaded: "dict[tuple[Category, bool], Chain]" = {}


@cache
def jobs() -> Jobs:
    """Return the jobs table of this process.

    Raises:
        DatabaseOlder, DatabaseNewer: its schema is not this code's.

    """
    return open_jobs()


def become_worker(serving: Sequence[str]) -> None:
    """Make this process, and the child that it will spawn, a worker with a new random id."""
    os.environ |= {_NAME: uuid.uuid4().hex, _QUEUES: ",".join(serving), _DEVICE: _device(serving)}
    os.environ["PYTHONSAFEPATH"] = "1"  # the child starts by `python -c`, in any folder


def _device(serving: Sequence[str]) -> str:
    """Return the device that the engines of these queues compute on, and log it."""
    by_paper = [step for step in serving if engine_of(step) is EngineName.PAPER]
    if not gpu_probe.was_asked():
        return "cpu"
    gpu_probe.pass_on()
    gpu = gpu_probe.gpu()
    if gpu.problem:
        log.warning("lite mends on the CPU, since the GPU cannot be used: %s", gpu.problem)
        return f"cpu, since the GPU cannot be used: {gpu.problem}"
    return gpu.name if by_paper and gpu.name else "cpu"


def worker() -> str:
    """Return this worker's id, which is new at each start."""
    return os.environ[_NAME]


def queues() -> list[str]:
    """Return the queues that this worker serves."""
    return os.environ[_QUEUES].split(",")


def device() -> str:
    """Return the device that this worker computes on."""
    return os.environ[_DEVICE]


def claim(serving: Sequence[str] | None = None) -> Job | None:
    """Claim the most urgent job of all queues or of `serving`.

    Jobs of the loaded chain come first, and those to classify while the paper's classifier is loaded.
    """
    config = settings()
    return jobs().claim(
        worker(), queues() if serving is None else serving, child=os.getpid(), seconds=config.deadline_seconds,
        seconds_per_megapixel=config.deadline_seconds_per_megapixel,
        prefer=_preferred(),
    )  # fmt: skip


def loaded() -> set[str]:
    """Return the queues whose networks this process holds."""
    chains = {category.value for category, _ in _loaded}
    return chains | ({CLASSIFY} if classifier.cache_info().currsize else set())


def _preferred() -> str | None:
    """Return the queue whose networks are dear to load again."""
    chain = next((category.value for category, _ in _loaded), None)
    return chain or (CLASSIFY if _is_large_classifier() and loaded() else None)


def _is_large_classifier() -> bool:
    """Return whether the classifier is a network that has no room beside a chain on a GPU."""
    return engine_of(CLASSIFY) is EngineName.PAPER and not settings().paper.classifier_url


@cache
def classifier() -> "Classifier":
    """Load the classifier of the engine in use; the paper's takes the place of a loaded chain.

    Raises:
        ClassifierUnavailable: it cannot answer now.
        WeightsMissing, WeightsWrong: its weights are not here, or not what they should be.

    """
    from tasks import loading

    if _is_large_classifier():
        _loaded.clear()
    return loading.classifier(engine_of(CLASSIFY))


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
        if _is_large_classifier():
            classifier.cache_clear()
        _loaded[wanted] = loading.chain(engine_of(category.value), category, faces=faces)
    return _loaded[wanted]
