"""Write a file whole or not at all, and hold a lock on one.

A file is written under a temporary name in its own folder, synced and renamed; then the folder is
synced. Readers see the old file or the new one, also after a power failure.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name; the file that is written there becomes `path` at the end.

    If the code inside fails, the temporary file is removed and `path` stays as it was.
    """
    # Host and process, because containers that share a folder have equal process ids.
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def rename(temporary: Path, path: Path) -> None:
    """Rename a synced file, and sync the folder that it is in then.

    Raises:
        FileNotFoundError: the temporary file was removed.

    """
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, from memory to the disk."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network filesystems cannot
            raise
    finally:
        os.close(number)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[FileIO | None]:
    """Hold the lock of a file, and yield that file, open for appending.

    With `wait` unset, yield None at once if another process holds the lock. The kernel releases the
    lock however this process ends.
    """
    with path.open("a+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = None
        else:
            held = file
        yield held
