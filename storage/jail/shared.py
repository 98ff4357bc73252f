"""What goes along with a message: memory that nobody can change any more, and open files.

The receiver checks size and seals of the memory. So a sender can neither change its content later
nor take it away, which would kill the receiver.
"""

import fcntl
import math
import mmap
import os
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_ADD_SEALS, _GET_SEALS = 1033, 1034
_SEALS = 1 | 2 | 4 | 8
"""No further seals, no shrinking, no growing, no writing."""
_KINDS = {kind.__name__: np.dtype(kind) for kind in (np.uint8, np.uint16)}
_ALIGNED = 64
"""Each content starts at a multiple of so many bytes."""


class Unsealed(ValueError):
    """A descriptor is not of sealed memory, or the memory has no such part."""


class Outgoing:
    """Bytes, arrays and files to send; nothing is copied before `descriptors` is called."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._parts: list[memoryview] = []
        self._length = 0
        self._files: list[int] = []

    def add(self, content: memoryview) -> int:
        """Add bytes, and return where they are in the memory."""
        at = self._length
        padding = -len(content) % _ALIGNED
        self._parts += [content, memoryview(bytes(padding))]
        self._length += len(content) + padding
        return at

    def add_array(self, array: NDArray[Any]) -> int:
        """Add the values of an array, and return where they are in the memory."""
        whole: Any = np.ascontiguousarray(array)
        return self.add(memoryview(whole).cast("B"))

    def add_file(self, file: BinaryIO) -> int:
        """Add an open file, and return its number among the files."""
        self._files.append(file.fileno())
        return len(self._files) - 1

    def descriptors(self) -> list[int]:
        """Return the descriptors to send: that of new memory, which the caller closes, then the files."""
        number = os.memfd_create("photomend", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            for part in self._parts:
                while part:
                    part = part[os.write(number, part) :]
            fcntl.fcntl(number, _ADD_SEALS, _SEALS)
        except BaseException:
            os.close(number)
            raise
        return [number, *self._files]


class Incoming:
    """What came along with a message, from descriptors as `Outgoing` lists them."""

    def __init__(self, descriptors: list[int]) -> None:
        """Take the descriptors."""
        self._descriptors = descriptors

    def close(self) -> None:
        """Close what nobody has taken; arrays stay."""
        while self._descriptors:
            number = self._descriptors.pop()
            if number >= 0:
                os.close(number)

    def content(self, offset: int, length: int) -> bytes:
        """Return bytes of the memory."""
        self._require(offset, length)
        return os.pread(self._descriptors[0], length, offset)

    def array(self, offset: int, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return a part of the memory as an array that cannot be written, without a copy."""
        if min(shape, default=0) < 1 or len(shape) > 3 or kind not in _KINDS:
            raise Unsealed(f"there are no arrays of {kind} with the shape {shape}")
        number, size = math.prod(shape), math.prod(shape) * _KINDS[kind].itemsize
        self._require(offset, size)
        whole = mmap.mmap(self._descriptors[0], offset + size, prot=mmap.PROT_READ)
        return np.frombuffer(whole, _KINDS[kind], number, offset).reshape(shape)

    def file(self, number: int) -> BinaryIO:
        """Return an open file, which is the caller's."""
        if not 0 <= number < len(self._descriptors) - 1 or self._descriptors[number + 1] < 0:
            raise Unsealed(f"there is no file {number}")
        taken, self._descriptors[number + 1] = self._descriptors[number + 1], -1
        return os.fdopen(taken, "rb")

    def _require(self, offset: int, length: int) -> None:
        """Raise unless the memory has such a part for good."""
        try:
            number = self._descriptors[0]
            seals = fcntl.fcntl(number, _GET_SEALS)
        except (OSError, IndexError) as error:
            raise Unsealed("no memory came along") from error
        if seals & _SEALS != _SEALS:
            raise Unsealed("the memory can still be changed")
        if offset < 0 or length < 0 or offset + length > os.lseek(number, 0, os.SEEK_END):
            raise Unsealed(f"the memory has no {length} bytes at {offset}")
