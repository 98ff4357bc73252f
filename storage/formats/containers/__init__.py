"""Containers: where each file format keeps the coded image and the metadata.

Each module walks a file without decoding it, for the parts that image libraries drop or rewrite.
All raise `Malformed` for bytes that cannot be; the caller knows the path.
"""

import io
from typing import BinaryIO


class Malformed(ValueError):
    """The bytes do not follow the format."""


BLOCK_BYTES = 1 << 20
MOST_PARTS = 100_000
"""Number of parts of a file (boxes, segments, chunks, entries) in one walk over it; photos have fewer."""


class Budget:
    """What a walk over a file may still take: a number of parts, and of bytes in them.

    A small file can state many parts that lie at one place, so that they are larger than the file.
    """

    def __init__(self, length: int, parts: int = MOST_PARTS) -> None:
        """Begin with the length of the file, and a number of parts."""
        self.left, self.parts = length, parts

    def spend(self, length: int = 0, *, parts: int = 1) -> None:
        """Take parts, with `length` bytes in all.

        Raises:
            Malformed: nothing is left.

        """
        self.left -= length
        self.parts -= parts
        if self.parts < 0:
            raise Malformed("it has too many parts")
        if self.left < 0:
            raise Malformed("its parts have more bytes than the file")


def take(file: BinaryIO, offset: int, length: int) -> bytes:
    """Return exactly `length` bytes from `offset`.

    Raises:
        Malformed: the file has no such bytes; nothing is allocated for a length that cannot be.

    """
    if offset < 0 or length < 0:
        raise Malformed(f"{length} bytes are missing at {offset}")
    # To ask for the end each time would empty the buffer of the file, which then reads more slowly.
    if not 0 < length <= BLOCK_BYTES and offset + length > end(file):
        raise Malformed(f"{length} bytes are missing at {offset}")
    file.seek(offset)
    data = file.read(length)
    if len(data) != length:
        raise Malformed(f"the file ends at {offset + len(data)}")
    return data


def end(file: BinaryIO) -> int:
    """Return the file's length in bytes."""
    return file.seek(0, io.SEEK_END)


def blocks(file: BinaryIO, offset: int, length: int) -> "list[tuple[int, int]]":
    """Yield a range of a file in small pieces: (offset, length) of each."""
    stop = min(offset + length, end(file))
    return [(at, min(BLOCK_BYTES, stop - at)) for at in range(offset, stop, BLOCK_BYTES)]
