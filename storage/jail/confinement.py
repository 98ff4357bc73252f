"""Confine this process for good: no files, no network, no programs, no other processes.

What the kernel lacks is left out and reported: then only the process boundary and limits remain.
"""

import ctypes
import os
import resource
import signal
import struct
from dataclasses import dataclass
from pathlib import Path

from storage.jail import landlock, seccomp

_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES, _DROP_CAPABILITY = 1, 38, 24
"""Options of the system call `prctl`."""
_CAPABILITIES = 0x20080522
"""Version of the kernel's interface for capabilities."""
MOST_FILES = 32
"""Descriptors that a photo, its copy and what is shared with the parent need at most."""


@dataclass(frozen=True)
class Confinement:
    """What holds a process in."""

    landlock: int
    """Version of Landlock's interface that is in force; 0 if none is."""
    system_calls: bool
    """Whether a filter refuses all system calls that decoding does not need."""
    lacks: tuple[str, ...] = ()
    """Why a part is not in force."""

    @property
    def is_complete(self) -> bool:
        """Whether the process has no file system, no network and no programs."""
        return not self.lacks


def die_with(parent: int) -> None:
    """Let the kernel kill this process when `parent`, the thread that started it, ends."""
    _library().prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def confine(kept: int) -> Confinement:
    """Confine this process, which has one thread, and keep one descriptor besides those of stdio."""
    os.closerange(3, kept)
    os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _limit()
    _drop_privileges()
    lacks = []
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        lacks.append("a library started threads, which Landlock does not cover")
    if problem := landlock.forbid_all():
        lacks.append(problem)
    version = 0 if lacks else landlock.version()
    if problem := seccomp.refuse_others():
        lacks.append(problem)
    return Confinement(version, not problem, tuple(lacks))


def _limit() -> None:
    """Limit what the kernel counts by process.

    Private memory (RLIMIT_DATA) has its limit already; what is shared with the parent counts as
    files. Not RLIMIT_NPROC: it counts all processes of the user, and encoders need threads.
    """
    memory, _ = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _drop_privileges() -> None:
    """Give up capabilities, if this process has any, and those that a program might bring."""
    library = _library()
    for capability in range(64):
        library.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)
    nothing = struct.pack("=6I", *[0] * 6)
    library.capset(struct.pack("=II", _CAPABILITIES, 0), nothing)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
