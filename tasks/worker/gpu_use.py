"""Ask NVIDIA's management library (NVML) whether other programs use a worker's GPU, before each photo.

NVML needs no CUDA context, so it takes no memory of the GPU. It tells programs by their process ids.
Those of the workers of this machine, and of their children, are photomend's own.
"""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil

BUSY_PERCENT = 20
"""From this share of its time on, other programs compute on a GPU; desktops and cameras need less."""
SAMPLE_SECONDS = 2.0
"""How long before the photo NVML looks for it."""
ROOM_BYTES = 2**30
"""Below so much memory beside that of other programs, loading networks is not tried."""
OWN_PROCESS_IDS = "pid:[4026531836]"
"""What Linux names the process ids of the machine itself, not of a container."""


class Unseen(Exception):
    """Other programs on the GPU cannot be seen; the message says why, and what to do."""


def by_others(uuid: str, workers: Collection[int]) -> str:
    """Return how other programs than `workers`, process ids, and their children use a GPU.

    Empty if they leave it to photomend.

    Raises:
        Unseen: nobody can tell.

    """
    if not uuid:
        raise Unseen("the GPU is not NVIDIA's")
    if not _sees_process_ids():
        raise Unseen("this container has process ids of its own: give it `pid: host`")
    try:
        import pynvml
    except ImportError as error:
        raise Unseen("nvidia-ml-py is not installed") from error
    try:
        pynvml.nvmlInit()
        try:
            return _use(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid), _with_children(workers))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise Unseen(f"the driver does not say ({error})") from error


def _use(nvml: Any, gpu: Any, own: Collection[int]) -> str:
    """Return how processes that are not `own` use a GPU; empty if they leave it alone."""
    percents = {pid: share for pid, share in _percents(nvml, gpu).items() if pid not in own}
    if sum(percents.values()) >= BUSY_PERCENT:
        return f"other programs compute on the GPU ({_named(percents)})"
    held = {pid: size for pid, size in _bytes(nvml, gpu).items() if pid not in own}
    if nvml.nvmlDeviceGetMemoryInfo(gpu).total - sum(held.values()) < ROOM_BYTES:
        gib = sum(held.values()) / 2**30
        return f"other programs hold {gib:.1f} GiB of the GPU's memory ({_named(held)})"
    return ""


def _percents(nvml: Any, gpu: Any) -> dict[int, int]:
    """Return the share of the GPU's time that each process took lately, by process id."""
    since = int((time.time() - SAMPLE_SECONDS) * 1e6)
    try:
        samples = nvml.nvmlDeviceGetProcessUtilization(gpu, since)
    except (nvml.NVMLError_NotFound, nvml.NVMLError_NotSupported):  # nobody computed; an old card
        return {}
    return {each.pid: each.smUtil for each in sorted(samples, key=lambda each: each.timeStamp)}


def _bytes(nvml: Any, gpu: Any) -> dict[int, int]:
    """Return the memory that each process holds, by process id."""
    listed = [
        *nvml.nvmlDeviceGetComputeRunningProcesses(gpu),
        *nvml.nvmlDeviceGetGraphicsRunningProcesses(gpu),
    ]
    return {process.pid: process.usedGpuMemory or 0 for process in listed}


def _with_children(parents: Collection[int]) -> set[int]:
    """Return process ids and those of all processes below them."""
    found = set(parents)
    for parent in parents:
        try:
            found.update(child.pid for child in psutil.Process(parent).children(recursive=True))
        except psutil.Error:  # it has just ended
            continue
    return found


def _named(use: dict[int, int]) -> str:
    """Return the names of the two programs that use most."""
    return ", ".join(map(_name, sorted(use, key=lambda pid: use[pid], reverse=True)[:2]))


def _name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:  # it belongs to somebody else, or has just ended
        return f"process {pid}"


def _sees_process_ids() -> bool:
    """Return whether the process ids here are those of the machine, which NVML gives."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == OWN_PROCESS_IDS
    except OSError:
        return False
