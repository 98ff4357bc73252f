"""Hold the queues that need this worker's device while it is lost or busy, and share its memory.

One job at a time tries the device, in a new child process, with growing pauses in between. Workers on
one GPU whose networks do not fit beside each other take turns.
"""

import logging
import os
from contextlib import suppress

from storage.database import holds, workers
from storage.database.holds import Hold
from storage.database.records import Job
from storage.enums import ErrorKind, Reaction
from storage.errors import GpuBusy
from storage.settings import settings
from tasks import gpu_probe
from tasks.engines import needs_device
from tasks.lite import gpu_trial
from tasks.worker import gpu_use, idle, runtime

log = logging.getLogger(__name__)


def claim() -> Job | None:
    """Claim the most urgent job of the queues that are not held."""
    if idle.is_ending():
        return None
    if runtime.gpu_problem() and _has_other_device():  # the parent found that the GPU works again
        idle.end_child()
        return None
    if runtime.is_on_gpu() and runtime.run_is_over() and _is_wanted():
        hold(ErrorKind.GPU_BUSY, "another worker takes its turn on the GPU")
        _give_way()
        idle.end_child()
        return None
    found, serving = holds.of(runtime.jobs().engine, runtime.worker()), runtime.queues()
    if found is None:
        return runtime.claim(serving)
    if found.kind is ErrorKind.GPU_LOST:
        os.environ[gpu_probe.WAS_LOST] = "1"
    if found.seconds > 0:
        serving = [queue for queue in serving if queue not in found.queues]
    return runtime.claim(serving) if serving else None


def yield_gpu(job: Job) -> None:
    """Leave the GPU to other programs that use it, as the settings say; lite goes on without it.

    Raises:
        GpuBusy: the step of the job needs the GPU; the sentence names those programs.

    """
    if runtime.device() == "cpu":
        return
    if needs_device(job.queue):
        if use := _use_by_others(gpu_probe.gpu().uuid):
            raise GpuBusy(use)
    elif gpu_trial.trial().is_won:
        from tasks.lite import onnx_nets

        onnx_nets.yield_gpu(bool(_use_by_others(gpu_trial.trial().uuid)))


def _use_by_others(uuid: str) -> str:
    """Return how other programs use a GPU, if this worker waits for them."""
    if settings().give_way.gpu_in_use is Reaction.WAIT:
        with suppress(gpu_use.Unseen):
            return gpu_use.by_others(uuid, workers.processes(runtime.jobs().engine))
    return ""


def hold(kind: ErrorKind, trouble: str) -> Hold:
    """Hold the queues of the paper engine, and log it unless they were held before."""
    needing = [queue for queue in runtime.queues() if needs_device(queue)]
    made = holds.hold(
        runtime.jobs().engine, runtime.worker(), needing, kind, trouble,
        least_seconds=settings().retry_pause_seconds,
    )  # fmt: skip
    if made.is_new:
        log.warning("%s; %s wait and try again one by one", trouble, ", ".join(needing))
    return made


def release(job: Job) -> None:
    """End the hold if this step has used the device; a job may also be decided without it.

    A hold because children died ends with any step.
    """
    engine = runtime.jobs().engine
    hold = holds.of(engine, runtime.worker())
    used = needs_device(job.queue) and job.queue in runtime.loaded()
    if hold is not None and (used or hold.kind is ErrorKind.CRASHED):
        holds.release(engine, runtime.worker())
        log.warning("%s again", "jobs end" if hold.kind is ErrorKind.CRASHED else "the GPU works")


def must_free_memory(idle_seconds: float) -> bool:
    """Return whether a child that has been idle for so long must end, to free its memory.

    On a GPU it ends sooner if another worker waits for the memory.
    """
    if runtime.is_on_gpu() and idle_seconds > settings().idle_seconds / 10 and _is_wanted():
        _give_way()
        return True
    return idle_seconds > settings().idle_seconds and bool(runtime.loaded())


def _is_wanted() -> bool:
    return holds.is_wanted(runtime.jobs().engine, runtime.worker())


def _give_way() -> None:
    holds.give_way(runtime.jobs().engine, runtime.worker())


def _has_other_device() -> bool:
    """Return whether this worker's parent has chosen another device since it started this child."""
    recorded = workers.device(runtime.jobs().engine, runtime.worker())
    return recorded not in (None, runtime.device())
