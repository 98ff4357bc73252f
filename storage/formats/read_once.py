"""A file whose blocks are read from the disk or the network once and kept in memory."""

import io
import mmap
import os
from typing import Any

from storage.formats.containers import Malformed

BLOCK_BYTES = 1 << 17
"""Bytes of a block; the headers of most photos are in the first one."""


class ReadOnce(io.RawIOBase):
    """The open file `number`, read where and when its bytes are first needed.

    Memory is taken only for blocks that were read. The descriptor stays the caller's.
    """

    def __init__(self, number: int, size: int) -> None:
        """Take its size in bytes; nothing is read yet."""
        self._number, self._size = number, size
        # The kernel gives memory to a page when it is written; a mapping has at least one byte.
        self._kept = mmap.mmap(-1, max(1, len(self)), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._missing = set(range(0, len(self), BLOCK_BYTES))
        self._at = 0

    def __len__(self) -> int:
        """Return the size of the file when it was opened."""
        return self._size

    def close(self) -> None:
        """Free the memory."""
        self._kept.close()
        super().close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as the io module says."""
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self)}
        self._at = max(0, starts[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Copy bytes from here on, as many as there are and fit."""
        start = min(self._at, len(self))
        stop = min(start + len(buffer), len(self))
        self._fetch(start, stop)
        with memoryview(self._kept) as kept, kept[start:stop] as part:
            buffer[: stop - start] = part
        self._at += stop - start
        return stop - start

    def whole(self) -> bytes:
        """Return all bytes."""
        self._fetch(0, len(self))
        return self._kept[: len(self)]

    def _fetch(self, start: int, stop: int) -> None:
        for block in range(start - start % BLOCK_BYTES, stop, BLOCK_BYTES):
            if block in self._missing:
                self._fetch_block(block)
                self._missing.remove(block)

    def _fetch_block(self, start: int) -> None:
        stop = min(start + BLOCK_BYTES, len(self))
        with memoryview(self._kept) as kept:
            while start < stop:
                with kept[start:stop] as rest:
                    read = os.preadv(self._number, [rest], start)
                if not read:
                    raise Malformed("it became shorter while it was read")
                start += read
