"""How many processor cores this process may use, by its affinity and its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def count(root: Path = Path("/")) -> int:
    """Return the number of cores, 1 at least; `root` is the folder that has proc and sys.

    A container with `--cpus=1.5` has 2.
    """
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *_quotas(root)])))


def share(part: float, root: Path = Path("/")) -> int:
    """Return the number of cores that are a part of all, 1 at least."""
    return max(1, int(part * count(root)))


def limit(number: int) -> None:
    """Let this process and its children run on `number` of its cores only: the last ones."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-number:])


def _quotas(root: Path) -> Iterator[float]:
    """Yield the cores that each control group of this process may use at once."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, kinds, path = line.split(":", 2)
        if number == "0":
            top = root / "sys/fs/cgroup"
        elif "cpu" in kinds.split(","):
            top = root / "sys/fs/cgroup/cpu"
        else:
            continue
        own = top / path.lstrip("/")
        for group in (own, *own.parents):
            if group.is_relative_to(top) and (quota := _quota(group)):
                yield quota


def _quota(group: Path) -> float | None:
    """Return the time of all cores in a period, over the period; None without a limit."""
    try:
        if (group / "cpu.max").exists():
            used, period = (group / "cpu.max").read_text().split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            used, period = ((group / name).read_text().strip() for name in names)
    except (OSError, ValueError):
        return None
    return int(used) / int(period) if used.isdecimal() and int(period) else None
