"""Forbid this process every file and every connection, by Landlock without a rule."""

import ctypes
import errno
import os
import struct

_CREATE, _RESTRICT = 444, 446
"""Numbers of the system calls, on all machines."""
_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files each version of the interface knows; later ones know as many as the last."""
_TCP, _SCOPES = 3, 3
"""To bind and to connect, from version 4; abstract sockets and signals of others, from version 6."""
_NEWEST = 6
"""Newest version with rights of its own."""


def version() -> int:
    """Return the version of Landlock's interface that this process may use; 0 if it may use none."""
    known: int = _library().syscall(_CREATE, None, 0, 1)
    return max(0, known)


def forbid_all() -> str:
    """Forbid this thread, and those that it starts, all that Landlock knows of.

    Return why it cannot be done; empty if it was. Needs that no new privileges are allowed.
    """
    known = version()
    if not known:
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EOPNOTSUPP):
            return "the kernel has no Landlock"
        return f"Landlock may not be used here: {os.strerror(number)}"
    rights = struct.pack(
        "=QQQ",
        (1 << _FILES[min(known, max(_FILES))]) - 1,
        _TCP if known >= 4 else 0,
        _SCOPES if known >= _NEWEST else 0,
    )
    size = 24 if known >= _NEWEST else 16 if known >= 4 else 8
    library = _library()
    ruleset = library.syscall(_CREATE, rights, size, 0)
    try:
        if ruleset < 0 or library.syscall(_RESTRICT, ruleset, 0):
            return f"Landlock refuses: {os.strerror(ctypes.get_errno())}"
    finally:
        if ruleset >= 0:
            os.close(ruleset)
    return ""


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
