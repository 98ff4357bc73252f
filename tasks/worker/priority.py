"""Lower the priority of a worker and its children, so that other programs of the machine go first."""

import logging
import os
from contextlib import suppress
from pathlib import Path

import psutil

from storage import cores
from storage.enums import IoPriority
from storage.settings import settings

log = logging.getLogger(__name__)

LOWEST_BEST_EFFORT = 7
"""The last of Linux' eight levels for ordinary reads and writes."""


def lower() -> None:
    """Lower the priority of this process as the settings say, never raise it, and limit its cores."""
    given = settings().give_way
    try:
        lower_processor(given.nice)
        _lower_disk(given.io_priority)
        if given.cores_share < 1:
            cores.limit(cores.share(given.cores_share))
    except OSError as error:  # a container or a unit may forbid it
        log.warning("the priority of this worker cannot be lowered: %s", error.strerror)


def lower_processor(nice: int) -> None:
    """Lower the priority for the processor to a nice value, unless it is lower.

    Linux may divide the processor between sessions first, as on desktops; then the nice value of
    the session counts, which is set only if this process leads it.
    """
    wanted = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, wanted)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # this kernel has no such groups
            Path("/proc/self/autogroup").write_text(str(wanted))


def _lower_disk(priority: IoPriority) -> None:
    process = psutil.Process()
    if priority is IoPriority.NORMAL or process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE:
        return
    if priority is IoPriority.IDLE:
        process.ionice(psutil.IOPRIO_CLASS_IDLE)
    else:
        process.ionice(psutil.IOPRIO_CLASS_BE, LOWEST_BEST_EFFORT)
