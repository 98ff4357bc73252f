"""The file that arrives: `.part` beside its target, locked, with a note of which version it is."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from storage.atomic_files import locked, sync
from storage.errors import NoRoom, WeightsBusy

_FULL = (errno.ENOSPC, errno.EDQUOT)


def part_of(target: Path) -> Path:
    """Return where a file lies while it arrives."""
    return target.with_name(target.name + ".part")


class Part:
    """What has arrived of one file."""

    def __init__(self, path: Path, opened: FileIO) -> None:
        self.path = path
        self._opened = opened
        self._note = path.with_name(path.name + ".from")
        self.pieces = 1 if self.size else 0
        """Of how many answers it consists."""

    @classmethod
    @contextmanager
    def held(cls, path: Path) -> Iterator["Part"]:
        """Open and lock it; the kernel lets the lock go however this process ends."""
        with locked(path, wait=False) as opened:
            # It may also have been finished, and renamed, before we had the lock.
            if opened is None or not _is_at(opened, path):
                raise WeightsBusy(f"another process fetches {path.name.removesuffix('.part')}")
            part = cls(path, opened)
            try:
                yield part
            finally:
                if not part.size:
                    part.discard()

    @property
    def size(self) -> int:
        """Its bytes so far."""
        return os.fstat(self._opened.fileno()).st_size

    def version(self, url: str) -> str | None:
        """Return the ETag under which this address gave what is there, None if it did not."""
        with suppress(FileNotFoundError, ValueError, AttributeError):
            noted = json.loads(self._note.read_text())
            if noted.get("url") == url and isinstance(noted.get("etag"), str):
                return str(noted["etag"])
        return None

    def begin(self, url: str, etag: str | None) -> None:
        """Note from where the next bytes come."""
        self._note.write_text(json.dumps({"url": url, "etag": etag}))
        self.pieces += 1

    def clear(self) -> None:
        """Forget all that has arrived."""
        self._opened.truncate(0)
        self._note.unlink(missing_ok=True)
        self.pieces = 0

    def write(self, block: bytes) -> None:
        """Append.

        Raises:
            NoRoom: the disk is full.

        """
        left = memoryview(block)
        try:
            while left:
                left = left[self._opened.write(left) :]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise NoRoom(
                f"the disk is full at {self.path.parent}; {self.size:,} bytes of "
                f"{self.path.name.removesuffix('.part')} are kept: make room and pull again"
            ) from error

    def sync(self) -> None:
        """Write it from memory to the disk and remove its note."""
        sync(self.path)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it and its note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _is_at(opened: FileIO, path: Path) -> bool:
    try:
        return os.fstat(opened.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
