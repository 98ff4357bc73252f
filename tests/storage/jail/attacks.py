"""What a decoder that a photo took over might try; each is an operation that a jail can run."""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _connect(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as found:
        found.connect(address)
        found.send(b"secret")


def _fork(_: str) -> None:
    if not os.fork():
        os._exit(0)


def _call(function: str, *values: object) -> None:
    """Call a function of the C library."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*values) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _attach(process: str) -> None:
    _call("ptrace", 16, int(process), None, None)
    os.waitpid(int(process), 0)
    _call("ptrace", 17, int(process), None, None)


def _read_memory(process: str) -> None:
    with Path(f"/proc/{process}/mem").open("rb") as file:
        file.fileno()


def _limit(process: str) -> None:
    resource.prlimit(int(process), resource.RLIMIT_NOFILE, (64, 64))


def _own(process: str) -> None:
    with os.fdopen(os.memfd_create("own"), "wb") as file:
        fcntl.fcntl(file, fcntl.F_SETOWN, int(process))


def _read_memory_by_call(process: str) -> None:
    place, nowhere = (ctypes.c_size_t * 2)(), (ctypes.c_size_t * 2)(4096, 8)
    place[:] = [ctypes.addressof(ctypes.create_string_buffer(8)), 8]
    with suppress_bad_address():
        _call("process_vm_readv", int(process), place, 1, nowhere, 1, 0)


@contextmanager
def suppress_bad_address() -> Iterator[None]:
    """Take it for done: the process is read, and has nothing there."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


KEYCTL = {"x86_64": 250, "aarch64": 219}
ATTACKS: dict[str, Callable[[str], object]] = {
    "read": lambda path: Path(path).read_bytes(),
    "write": lambda path: Path(path + ".new").write_bytes(b""),
    "list": os.listdir,
    "stat": os.stat,
    "make a folder": lambda path: Path(path + ".folder").mkdir(),
    "link": lambda path: os.link(path, path + ".link"),
    "point": lambda path: Path(path + ".pointer").symlink_to(path),
    "rename": lambda path: Path(path).replace(path),
    "remove": lambda path: Path(path).unlink(),
    "change its mode": lambda path: Path(path).chmod(0o777),
    "execute": lambda path: os.execv("/bin/true", ["true"]),
    "start": lambda _: subprocess.run(["/bin/true"], check=True),
    "fork": _fork,
    "TCP": lambda port: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(port))),
    "UDP": lambda port: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int(port))),
    "unix": lambda path: _connect(socket.AF_UNIX, socket.SOCK_STREAM, path),
    "abstract": lambda name: _connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name),
    "bind": lambda _: socket.create_server(("127.0.0.1", 0)).close(),
    "kill": lambda process: os.kill(int(process), signal.SIGCONT),
    "signal by descriptor": _own,
    "ptrace": _attach,
    "memory": _read_memory,
    "memory by call": _read_memory_by_call,
    "limit": _limit,
    "new code": lambda _: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close(),
    "namespace": lambda _: _call("unshare", 0x10000000),
    "key": lambda _: _call("syscall", KEYCTL[platform.machine()], 0, -3, 0),
    "io_uring": lambda _: _call("syscall", 425, 1, ctypes.create_string_buffer(120)),
}


def tried(name: str, target: str) -> str:
    """Try one, and return how it ended."""
    try:
        ATTACKS[name](target)
    except PermissionError:
        return "refused"
    except OSError as error:
        return error.strerror or "failed"
    return "done"


def endless() -> None:
    """Never return."""
    while True:
        time.sleep(1)


def abort() -> None:
    """End by a signal, as a broken decoder does."""
    os.abort()


def threads() -> int:
    """Return what threads add up."""
    total = []
    running = [threading.Thread(target=total.append, args=(1,)) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(total)


def hoard(number: int) -> str:
    """Take so many bytes of memory that is no private one, and return how it ended."""
    with os.fdopen(os.memfd_create("hoard"), "wb") as file:
        try:
            return str(os.ftruncate(file.fileno(), number))
        except OSError as error:
            return errno.errorcode[error.errno or 0]


def fill(number: int) -> int:
    """Take so many bytes of private memory."""
    return len(bytearray(number))


def environment() -> str:
    """Return the environment, and the names of what is open."""
    return f"{sorted(os.environ)}"


def descriptors() -> int:
    """Return how many descriptors are open."""
    opened = 0
    for number in range(64):
        try:
            os.lseek(number, 0, os.SEEK_CUR)
            opened += 1
        except OSError as error:
            opened += error.errno == 29  # of a socket
    return opened
