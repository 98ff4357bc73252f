"""Containers: where each file format keeps the coded image and the metadata.

Each module walks a file without decoding it, for the parts that image libraries drop or rewrite.
All raise `Malformed` for bytes that cannot be; the caller knows the path.
"""

import io
from typing import BinaryIO


class Malformed(ValueError):
    """The bytes do not follow the format."""


BLOCK_BYTES = 1 << 20


def take(file: BinaryIO, offset: int, length: int) -> bytes:
    """Return exactly `length` bytes from `offset`.

    Raises:
        Malformed: the file has no such bytes; nothing is allocated for a length that cannot be.

    """
    if offset < 0 or length < 0 or offset + length > end(file):
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
