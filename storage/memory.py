"""How much memory this machine or container has, and a limit of what one process may take of it."""

import resource
from collections.abc import Iterator
from pathlib import Path

SHARE = 7 / 8
"""Share of the memory that one process may take by default; the rest is left to others."""
BASE_MEGABYTES, MEGABYTES_PER_MEGAPIXEL = 1000, 65
"""What mending takes by the lite engine, in megabytes of private memory: measured were 1,179, 1,739 and
2,465 MB for 4, 12 and 24 megapixels."""
_MEGA = 1_000_000


def share_megabytes(root: Path = Path("/")) -> int:
    """Return the megabytes that one process may take by default.

    `root` is the folder that has proc and sys.
    """
    return int(min(_limits(root)) * SHARE) // _MEGA


def megapixels(megabytes: int) -> int:
    """Return the megapixels of the largest photo that can be mended in so much memory, 1 at least."""
    return max(1, (megabytes - BASE_MEGABYTES) // MEGABYTES_PER_MEGAPIXEL)


def limit(megabytes: int) -> None:
    """Limit the private memory of this process; beyond it, allocations fail (MemoryError).

    A lower limit that holds already stays. Private memory (RLIMIT_DATA) is what a process can write and
    shares with nobody. The address space (RLIMIT_AS) would also count mapped libraries and weights, and
    what is only reserved: 500 MB for lite, many times the memory for a driver of GPUs.
    """
    asked = megabytes * _MEGA
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    least = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (least, least))


def _limits(root: Path) -> Iterator[int]:
    """Yield the bytes of the machine's memory, and the limit of each control group of this process."""
    [total] = [
        line.split()[1]
        for line in (root / "proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    ]
    yield int(total) * 1024
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        number, kinds, path = line.split(":", 2)
        if number == "0":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in kinds.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        own = top / path.lstrip("/")
        for group in (own, *own.parents):
            if group.is_relative_to(top) and (file := group / name).is_file():
                yield from (int(text) for text in [file.read_text().strip()] if text.isdecimal())
