"""Reach files below a folder of the owner's in which others may write, without following a link.

The folder itself is the owner's, and its path may hold links. Below it every name must be what it
seems: folders, and at the end a regular file. What is a link raises ELOOP, and what is a folder, a
pipe, a socket or a device ENXIO; so nothing hangs, and nothing outside is read, written or removed.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from storage import fingerprints, system_calls
from storage.errors import PathRefused, PhotoChanged
from storage.text import printable

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = (errno.EPERM, errno.EMLINK, *system_calls.UNSUPPORTED)
"""Errors of filesystems that have no hard links."""
_CHUNK_BYTES = 1 << 20
MOST_HASHED_BYTES = 1 << 32
"""No result has more bytes: it would have to fit into memory several times."""


@dataclass(frozen=True)
class Beneath:
    """A file below a root.

    Raises:
        PathRefused: the relative path would lead out of the root.

    """

    root: Path
    relative: Path
    recorded: str | None = None
    """The fingerprint of the version that may be opened; None allows any."""

    def __post_init__(self) -> None:
        """Check the path: it may come from a row that another program wrote."""
        if self.relative.is_absolute() or ".." in self.relative.parts:
            raise PathRefused(
                f"{printable(self.relative)} does not name a file below {printable(self.root)}; "
                "another program changed the database, so nothing is done with it"
            )

    def __str__(self) -> str:
        """Return the whole path."""
        return str(self.path)

    @property
    def path(self) -> Path:
        """The whole path, for messages; opening it would follow links."""
        return self.root / self.relative

    @property
    def name(self) -> str:
        """The file's name."""
        return self.relative.name

    @property
    def parent(self) -> "Beneath":
        """The folder that the file is in."""
        return Beneath(self.root, self.relative.parent)

    def with_name(self, name: str) -> "Beneath":
        """Return another file of the same folder, of any version."""
        return Beneath(self.root, self.relative.with_name(name))

    def with_suffix(self, suffix: str) -> "Beneath":
        """Return the file with another suffix, of any version."""
        return Beneath(self.root, self.relative.with_suffix(suffix))

    def latest(self) -> "Beneath":
        """Return the file in whatever version it has now."""
        return Beneath(self.root, self.relative)

    def folder(self, flags: int = os.O_PATH) -> AbstractContextManager[int]:
        """Open the folder that the file is in, and yield its descriptor."""
        return folder(self.root, os.path.dirname(self.relative), flags)  # noqa: PTH120

    def open(self) -> BinaryIO:
        """Open the file for reading.

        Raises:
            PhotoChanged: it is not the recorded version.
            OSError: it is no regular file (ELOOP, ENXIO), is not there, or cannot be read.

        """
        with self.folder() as inside:
            file = open_in(inside, self.name)
        if self.recorded is None:
            return file
        found = fingerprints.of(os.fstat(file.fileno()))
        if fingerprints.same_file(self.recorded, found):
            return file
        file.close()
        raise PhotoChanged(
            f"{printable(self)} has changed since it was found; the next scan queues it anew"
        )

    def status(self) -> os.stat_result:
        """Return what the file's entry says; of a link, what the link is."""
        with self.folder() as inside:
            return os.stat(self.name or ".", dir_fd=inside, follow_symlinks=False)

    def exists(self) -> bool:
        """Return whether anything has this name; what lies behind a link is not there."""
        return self._mode() is not None

    def is_file(self) -> bool:
        """Return whether a regular file has this name."""
        return stat.S_ISREG(self._mode() or 0)

    def unlink(self) -> None:
        """Remove the file, or the link; nothing happens if it is gone."""
        with suppress(FileNotFoundError), self.folder() as inside:
            os.unlink(self.name, dir_fd=inside)

    def _mode(self) -> int | None:
        try:
            return self.status().st_mode
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise


def at(place: Path | Beneath) -> Beneath:
    """Return a path that the owner named as a file below its folder."""
    return place if isinstance(place, Beneath) else Beneath(place.parent, Path(place.name))


@contextmanager
def folder(root: Path, relative: Path | str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Open a folder below a root, or the root itself, and yield its descriptor.

    Raises:
        OSError: it is a link or below one (ELOOP), no folder (ENOTDIR), or not there.

    """
    open_below = system_calls.openat2 if system_calls.has_openat2() else _open_each
    start = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        number = open_below(start, str(relative) or ".", flags | _FOLDER)
    except OSError as error:
        raise _explained(error, root / relative) from error
    finally:
        os.close(start)
    try:
        yield number
    finally:
        os.close(number)


def walk(root: Path) -> Iterator[Beneath]:
    """Yield all files below a root; folders that cannot be listed are left out."""
    later = [""]
    while later:
        here = later.pop()
        files: list[str] = []
        with suppress(OSError), folder(root, here) as number, os.scandir(number) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                (later if entry.is_dir(follow_symlinks=False) else files).append(path)
        yield from (Beneath(root, Path(path)) for path in files)


def open_in(inside: int, name: str) -> BinaryIO:
    """Open a regular file of a folder for reading.

    Raises:
        OSError: it is no regular file (ELOOP, ENXIO), is not there, or cannot be read.

    """
    try:
        number = os.open(name or ".", _READ, dir_fd=inside)
    except OSError as error:
        raise _explained(error, name) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.ENXIO, "no regular file", name)
    return os.fdopen(number, "rb")


def create_in(inside: int, name: str, mode: int = 0o600) -> BinaryIO:
    """Make a file in a folder, and open it for writing and reading.

    Raises:
        OSError: something has this name already (EEXIST), or no file can be made.

    """
    return os.fdopen(os.open(name, _NEW, mode, dir_fd=inside), "w+b")


def sha256_in(inside: int, name: str) -> str | None:
    """Return the SHA-256 of a file in a folder.

    Return None if there is no file, "" if it is no regular one, growing, or larger than any result:
    no hash equals that.
    """
    try:
        with open_in(inside, name) as file:
            return _digest(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        return ""


def rename_new(inside: int, old: str, new: str, to: int | None = None) -> None:
    """Rename a file of a folder, unless something has the new name, which may be in the folder `to`.

    A filesystem without this flag (NFS) makes a hard link and removes the old name. One without
    hard links either (some of FUSE) looks at the name just before, which leaves a short moment.

    Raises:
        FileExistsError: something has the new name.
        FileNotFoundError: there is no such file.

    """
    to = inside if to is None else to
    if system_calls.renameat2(inside, old, new, system_calls.NOREPLACE, to):
        return
    try:
        os.link(old, new, src_dir_fd=inside, dst_dir_fd=to, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with suppress(FileNotFoundError):
            os.stat(new, dir_fd=to, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from error
        os.rename(old, new, src_dir_fd=inside, dst_dir_fd=to)
    else:
        os.unlink(old, dir_fd=inside)


def exchange(inside: int, one: str, other: str) -> bool:
    """Exchange the names of two files of a folder; return False if the filesystem cannot.

    Raises:
        FileNotFoundError: one of them is not there.

    """
    return system_calls.renameat2(inside, one, other, system_calls.EXCHANGE)


def _explained(error: OSError, path: Path | str) -> OSError:
    """Return the error with its path, and a text that says what a link means."""
    number = error.errno or 0
    text = "a symbolic link is not followed" if number == errno.ELOOP else os.strerror(number)
    return OSError(number, text, str(path))


def _digest(file: BinaryIO) -> str:
    """Return the SHA-256 of as many bytes as the file had at first; "" if it has others then.

    "" also of more bytes than any result has: a guest's file of zeros costs no room and takes hours.
    """
    digest, left = hashlib.sha256(), os.fstat(file.fileno()).st_size
    if left > MOST_HASHED_BYTES:
        return ""
    while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return "" if left or file.read(1) else digest.hexdigest()


def _open_each(start: int, relative: str, flags: int) -> int:
    """Open a folder by opening each one on the way to it."""
    *outer, last = relative.split("/")
    number = os.open(".", os.O_PATH | _FOLDER, dir_fd=start)
    for part, how in [*((part, os.O_PATH | _FOLDER) for part in outer), (last, flags)]:
        try:
            inner = os.open(part, how | os.O_NOFOLLOW, dir_fd=number)
        except NotADirectoryError as error:  # Linux' answer for a link, too
            mode = os.stat(part, dir_fd=number, follow_symlinks=False).st_mode
            raise OSError(errno.ELOOP if stat.S_ISLNK(mode) else errno.ENOTDIR, "") from error
        finally:
            os.close(number)
        number = inner
    return number
