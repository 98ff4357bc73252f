"""The system calls that decoding needs, and a seccomp filter that refuses all others.

Landlock does not know of the attributes of files, of processes and of sockets that are no TCP. A
filter knows numbers and no paths. Each refuses what the other cannot.
"""

import ctypes
import errno
import os
import platform
import struct

_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in the kernel's `struct seccomp_data`; an argument has eight bytes, the lower ones first."""
_SET_MODE_FILTER, _ALL_THREADS = 1, 1

MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""Column of the tables, the kernel's name of the architecture, and the number of `seccomp`."""
_CALLS = {
    "brk": (12, 214), "clock_getres": (229, 114), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "close": (3, 57), "dup": (32, 23), "exit": (60, 93),
    "exit_group": (231, 94), "fstat": (5, 80), "ftruncate": (77, 46), "futex": (202, 98),
    "getcpu": (309, 168), "getegid": (108, 177), "geteuid": (107, 175), "getgid": (104, 176),
    "getpid": (39, 172), "getppid": (110, 173), "getrandom": (318, 278), "getrusage": (98, 165),
    "gettid": (186, 178), "gettimeofday": (96, 169), "getuid": (102, 174), "lseek": (8, 62),
    "madvise": (28, 233), "membarrier": (324, 283), "memfd_create": (319, 279), "mremap": (25, 216),
    "munmap": (11, 215), "nanosleep": (35, 101), "pread64": (17, 67), "preadv": (295, 69), "preadv2": (327, 286),
    "pwrite64": (18, 68), "read": (0, 63), "readv": (19, 65), "recvfrom": (45, 207),
    "recvmsg": (47, 212), "restart_syscall": (219, 128), "rseq": (334, 293),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_yield": (24, 124), "sendmsg": (46, 211),
    "sendto": (44, 206), "set_robust_list": (273, 99), "sigaltstack": (131, 132),
    "sysinfo": (99, 179), "times": (100, 153), "uname": (63, 160), "write": (1, 64),
    "writev": (20, 66),
}  # fmt: skip
"""Numbers on x86_64 and aarch64 of the calls that are allowed whatever their arguments."""
_CHECKED = {
    "clone": (56, 220), "fcntl": (72, 25), "mmap": (9, 222), "mprotect": (10, 226),
    "prlimit64": (302, 261), "tgkill": (234, 131),
}  # fmt: skip
"""Calls whose arguments decide: threads, but no processes; memory, but no new code; only itself."""
NAMES = (*_CALLS, *_CHECKED)
"""All that is allowed, at least with some arguments."""
_CLONE3 = (435, 435)
"""It is answered as by an old kernel: its flags lie in memory, and glibc then calls `clone`."""

_THREAD, _NAMESPACES = 0x00010000, 0x7E020080
_EXECUTABLE = 4
_DESCRIPTOR_COMMANDS = (1, 2, 3, 1030, 1033, 1034)
"""F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC and both of seals; not F_SETOWN, which sends signals."""

_ALL = 0xFFFFFFFF

_Check = tuple[int, int, int]
"""Offset of half an argument, a mask, and the value that its bits must have."""


def _checks() -> dict[str, list[list[_Check]]]:
    """Return, for each checked call, the alternatives of checks that allow it."""
    first, second, third = (_ARGUMENTS + 8 * number for number in range(3))
    return {
        "clone": [[(first, _THREAD | _NAMESPACES, _THREAD)]],
        "fcntl": [[(second, _ALL, command)] for command in _DESCRIPTOR_COMMANDS],
        "mmap": [[(third, _EXECUTABLE, 0)]],
        "mprotect": [[(third, _EXECUTABLE, 0)]],
        "prlimit64": [[(first, _ALL, 0)]],
        "tgkill": [[(first, _ALL, os.getpid())]],
    }


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_others() -> str:
    """Refuse, in all threads of this process, the calls that decoding does not need, by EPERM.

    Return why it cannot be done; empty if it was. Needs that no new privileges are allowed.
    """
    if platform.machine() not in MACHINES:
        return f"no filter of system calls is known for {platform.machine()}"
    column, architecture, _ = MACHINES[platform.machine()]
    return _install(_filter(column, architecture))


def _install(instructions: bytes) -> str:
    code = ctypes.create_string_buffer(instructions)
    program = _Program(len(instructions) // 8, ctypes.addressof(code))
    _, _, number = MACHINES[platform.machine()]
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(number, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)):
        return f"the kernel takes no filter of system calls: {os.strerror(ctypes.get_errno())}"
    return ""


def _filter(column: int, architecture: int) -> bytes:
    """Return the filter as the kernel's classic BPF."""
    made = [_load(_ARCHITECTURE), *_unless(architecture, [_end(_KILL)]), _load(_NUMBER)]
    made += _if(_CLONE3[column], [_end(_ERROR | errno.ENOSYS)])
    for numbers in _CALLS.values():
        made += _if(numbers[column], [_end(_ALLOW)])
    checks = _checks()
    for name, numbers in _CHECKED.items():
        parts = [part for alternative in checks[name] for part in _alternative(alternative)]
        made += _if(numbers[column], [*parts, _end(_ERROR | errno.EPERM)])
    return b"".join([*made, _end(_ERROR | errno.EPERM)])


def _alternative(checks: list[_Check]) -> list[bytes]:
    """Return instructions that allow the call if all checks hold, and go on otherwise."""
    made = [_end(_ALLOW)]
    for offset, mask, value in reversed(checks):
        made = [_load(offset), _step(_AND, mask), *_if(value, made)]
    return made


def _if(value: int, then: list[bytes]) -> list[bytes]:
    return [_step(_EQUAL, value, 0, len(then)), *then]


def _unless(value: int, then: list[bytes]) -> list[bytes]:
    return [_step(_EQUAL, value, len(then), 0), *then]


def _load(offset: int) -> bytes:
    return _step(_LOAD, offset)


def _end(result: int) -> bytes:
    return _step(_RETURN, result)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
