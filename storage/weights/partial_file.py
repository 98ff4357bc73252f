"""The `.part` file of a download: locked, and with a note beside it of the ETag that it came with."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from storage import atomic_files
from storage.errors import NoRoom, WeightsBusy

_FULL = (errno.ENOSPC, errno.EDQUOT)


def part_path(target: Path) -> Path:
    """Return where a file is while it is downloaded."""
    return target.with_name(target.name + ".part")


def require_space(folder: Path, name: str, needed_bytes: int, min_free_bytes: int) -> None:
    """Raise NoRoom if less than `min_free_bytes` would be free afterwards."""
    free = shutil.disk_usage(folder).free
    if free - needed_bytes < min_free_bytes:
        raise NoRoom(
            f"{folder} has {free:,} bytes free; {name} needs {needed_bytes:,} more, "
            f"and {min_free_bytes:,} must stay free"
        )


class Part:
    """The beginning of a file that is downloaded."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self._file = file
        self._note = path.with_name(path.name + ".etag")

    @classmethod
    @contextmanager
    def locked(cls, target: Path) -> Iterator["Part"]:
        """Open and lock the part of a file; at the end, remove it if it is empty.

        Raises:
            WeightsBusy: another process holds the lock, or has just renamed the part.

        """
        path = part_path(target)
        with atomic_files.locked(path, wait=False) as file:
            if file is None or not _is_at(file, path):
                raise WeightsBusy(f"another process is downloading {target.name}")
            part = cls(path, file)
            try:
                yield part
            finally:
                if not part.size:
                    path.unlink(missing_ok=True)
                if not path.exists():
                    part.note(None)

    @property
    def size(self) -> int:
        """Its bytes so far."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def etag(self) -> str | None:
        """The ETag that the bytes came with, None if there was none."""
        return self._note.read_text(errors="replace") if self._note.is_file() else None

    def note(self, etag: str | None) -> None:
        """Write the ETag that the next bytes come with."""
        self._note.write_text(etag) if etag else self._note.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all bytes."""
        self._file.truncate(0)
        self.note(None)

    def append(self, block: bytes) -> None:
        """Append bytes.

        Raises:
            NoRoom: the disk is full.

        """
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise NoRoom(
                f"the disk is full at {self.path.parent}; {self.size:,} bytes of "
                f"{self.path.stem} are kept: free some space and pull again"
            ) from error


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
