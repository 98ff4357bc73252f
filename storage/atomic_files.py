"""Write a file whole or not at all, append lines to one, and hold a lock on one.

A file is written under a temporary name in its own folder, synced and renamed; then the folder is
synced. Readers see the old file or the new one, also after a power failure.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from storage import beneath
from storage.beneath import Beneath

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Draft:
    """A new file under a temporary name, until it is renamed."""

    file: BinaryIO
    """Open for writing and reading."""
    folder: int
    """The descriptor of the folder that it is in, whatever becomes of that folder's name."""
    temporary: str
    name: str
    """The name that it is to get."""

    def finish(self) -> None:
        """Sync the file and close it: some filesystems report only then that it has no room."""
        self.file.flush()
        sync_open(self.file.fileno())
        self.file.close()


@contextmanager
def draft(place: Path | Beneath, temporary: str, mode: int = 0o600) -> Iterator[Draft]:
    """Make a file under a temporary name beside `place`; what is not renamed is removed at the end.

    It is new: whatever has the temporary name is neither opened nor changed.
    """
    place = beneath.at(place)
    with place.folder(os.O_RDONLY) as folder, beneath.create_in(folder, temporary, mode) as file:
        try:
            yield Draft(file, folder, temporary, place.name)
        finally:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)


def write(path: Path | Beneath, content: bytes, mode: int = 0o666) -> None:
    """Write a file whole or not at all; whatever had its name is replaced."""
    place = beneath.at(path)
    with draft(place, temporary_name(place.name), mode) as new:
        new.file.write(content)
        put(new)


def put(new: Draft) -> None:
    """Give a draft its name; whatever had it is replaced."""
    new.finish()
    os.rename(new.temporary, new.name, src_dir_fd=new.folder, dst_dir_fd=new.folder)
    sync_open(new.folder)


def temporary_name(name: str) -> str:
    """Return a temporary name for a file, which `remove_drafts` knows."""
    return f".{name}.{token()}.tmp"


def append(place: Beneath, lines: bytes) -> None:
    """Append lines to a file and sync it; make it if it is not there.

    What a killed writer left of a line stays a line of its own.

    Raises:
        OSError: it is no regular file, has a second name elsewhere, or cannot be written.

    """
    with place.folder(os.O_RDONLY) as folder:
        number = os.open(place.name, _APPEND, 0o666, dir_fd=folder)
        with os.fdopen(number, "ab") as file:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise OSError(errno.ENXIO, "no regular file, or one with two names", str(place))
            is_torn = found.st_size and os.pread(number, 1, found.st_size - 1) != b"\n"
            file.write(b"\n" + lines if is_torn else lines)
            file.flush()
            sync_open(number)
        if not found.st_size:
            sync_open(folder)


def remove_drafts(path: Path) -> None:
    """Remove what killed writers of a file left, which no process may be writing now."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)


def token() -> str:
    """Return twelve random letters: a name that nobody can guess."""
    return secrets.token_hex(6)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name; the file that is written there becomes `path` at the end.

    This is for libraries that take no open file, in folders where only the owner writes. If the code
    inside fails, the temporary file is removed and `path` stays as it was.
    """
    temporary = path.with_name(temporary_name(path.name))
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
        sync_open(number)
    finally:
        os.close(number)


def sync_open(number: int) -> None:
    """Write an open file, or the names in an open folder, from memory to the disk."""
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network filesystems cannot
            raise


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
