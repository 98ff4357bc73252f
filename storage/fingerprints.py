"""The fingerprint of a file: it changes when the file is written, replaced or restored."""

import os

SHIFT_NS = 900 * 10**9
"""Clocks of FAT and of time zones shift mtimes by multiples of 15 minutes, in nanoseconds."""
LARGEST_SHIFT_NS = 26 * 3600 * 10**9
"""Largest such shift in nanoseconds: that between the two most distant time zones."""
GRANULARITIES_NS = (2 * 10**9, 10**7)
"""Steps in which filesystems store mtimes, in nanoseconds: FAT and exFAT; NTFS has 100."""


def of(found: os.stat_result) -> str:
    """Return size in bytes, mtime in nanoseconds and inode, joined by hyphens."""
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def size(fingerprint: str) -> str:
    """Return the size in bytes, as text."""
    return fingerprint.partition("-")[0]


def modified_at(fingerprint: str) -> float:
    """Return the mtime in seconds since 1970."""
    return _mtime_ns(fingerprint) / 1e9


def same_file(one: str, other: str) -> bool:
    """Return whether size and mtime say that it is the same file, perhaps on another filesystem.

    Inodes are not compared. Mtimes may differ by what another filesystem cannot store, and by the
    shift of a time zone or of daylight saving time.
    """
    if one == other:
        return True
    if size(one) != size(other):
        return False
    first, second = _mtime_ns(one), _mtime_ns(other)
    apart = abs(first - second)
    rest = min(apart % SHIFT_NS, -apart % SHIFT_NS)
    return apart <= LARGEST_SHIFT_NS and rest <= max(_granularity(first), _granularity(second))


def _granularity(mtime_ns: int) -> int:
    """Return how exact an mtime is that was stored in the coarsest steps that fit it."""
    whole_seconds = mtime_ns % 10**9 == 0
    coarse, fine = GRANULARITIES_NS
    return coarse if whole_seconds else fine if mtime_ns % fine == 0 else 100


def _mtime_ns(fingerprint: str) -> int:
    """Return the mtime in nanoseconds, which may be negative; 0 if there is none."""
    mtime = fingerprint.partition("-")[2].rpartition("-")[0]
    return int(mtime) if mtime else 0
