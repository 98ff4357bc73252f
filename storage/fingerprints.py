"""The fingerprint of a file: it changes when the file is written, replaced or restored."""

import os


def of(found: os.stat_result) -> str:
    """Return size in bytes, mtime in nanoseconds and inode, joined by hyphens."""
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"
