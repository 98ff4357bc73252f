"""The parent's thread: while lite takes the steps of a GPU that cannot be used, probe it again.

The worker's row holds the trouble, as that of a GPU that is lost later, but holds no queue.
"""

import logging
import time
from contextlib import suppress
from threading import Thread

from sqlalchemy.exc import SQLAlchemyError

from storage.database import holds
from storage.enums import ErrorKind
from storage.settings import settings
from tasks import gpu_probe
from tasks.engines import engine_of
from tasks.worker import heartbeat, runtime

log = logging.getLogger(__name__)


def start(**_: object) -> None:
    """Start the thread if the GPU cannot be used; Celery calls this in the parent."""
    if runtime.gpu_problem():
        Thread(target=_run, name="fallback", daemon=True).start()


def _run() -> None:
    while problem := runtime.gpu_problem():
        time.sleep(_record(problem))
        gpu_probe.probe_again()
    engine_of.cache_clear()
    runtime.choose_device()
    while not _recorded_return():
        time.sleep(settings().heartbeat_seconds)


def _record(problem: str) -> float:
    """Record why the GPU cannot be used; return the seconds to the next probe."""
    pause_seconds = settings().retry_pause_seconds
    with suppress(SQLAlchemyError):  # the next round may succeed
        return holds.hold(
            runtime.jobs().engine, runtime.worker(), [], ErrorKind.GPU_LOST, problem,
            least_seconds=pause_seconds,
        ).seconds  # fmt: skip
    return pause_seconds


def _recorded_return() -> bool:
    """Record the device, at which the present child ends, and that there is no trouble."""
    with suppress(SQLAlchemyError):
        heartbeat.record()
        holds.release(runtime.jobs().engine, runtime.worker())
        log.warning("the GPU can be used again: the paper's engine takes its steps")
        return True
    return False
