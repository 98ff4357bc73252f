"""Linux' system calls that Python lacks: openat2, and renameat2 with its flags."""

import ctypes
import errno
import os
import struct
from functools import cache
from typing import Any

_OPENAT2 = 437
"""Number of the system call on all architectures (Linux 5.6)."""
_STAY_BELOW = 0x04 | 0x08
"""RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH of openat2(2), the third number of its struct open_how."""
NOREPLACE, EXCHANGE = 1, 2
"""Flags of renameat2(2)."""
UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of kernels and filesystems that do not know a flag."""


def openat2(start: int, relative: str, flags: int) -> int:
    """Open a path below the folder `start`; of a link raise ELOOP."""
    while True:
        path, how = os.fsencode(relative), struct.pack("=QQQ", flags, 0, _STAY_BELOW)
        number = _libc().syscall(_OPENAT2, start, path, how, ctypes.c_size_t(len(how)))
        if number >= 0:
            return int(number)
        if ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), "")


@cache
def has_openat2() -> bool:
    """Return whether the kernel has openat2, and no sandbox around this process refuses it."""
    try:
        start = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            os.close(openat2(start, ".", os.O_PATH))
        finally:
            os.close(start)
    except OSError:
        return False
    return True


def renameat2(inside: int, old: str, new: str, flag: int, to: int | None = None) -> bool:
    """Rename with a flag; return False if the filesystem, the kernel or the C library cannot.

    `to` is the folder of the new name, if it is another one.
    """
    to = inside if to is None else to
    rename = getattr(_libc(), "renameat2", None)
    if rename is None:
        return False
    if rename(inside, os.fsencode(old), to, os.fsencode(new), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), new)


@cache
def _libc() -> Any:  # CDLL finds its functions by their names
    return ctypes.CDLL(None, use_errno=True)
