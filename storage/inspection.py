"""Open a photo once and return what decides about it: format, size, metadata, content hash.

Each fact is found when it is first asked for, and then kept. No byte is read twice, and only what
needs the coded image reads the whole file. A jail inspects the same open file, by its descriptor.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import BinaryIO

from storage import beneath, fingerprints, jail
from storage.beneath import Beneath
from storage.errors import TooLarge
from storage.formats import arrays, content_hash, headers
from storage.formats.containers import Malformed
from storage.formats.detect import PREFIX_BYTES, Format, sniff
from storage.formats.headers import Header
from storage.formats.read_once import ReadOnce
from storage.formats.safe_open import (
    MEGA,
    Limits,
    open_regular,
    unreadable_if_broken,
)
from storage.formats.turn import swapped
from storage.jail.values import Packed
from storage.metadata import blocks
from storage.metadata.blocks import Metadata
from storage.text import printable


@dataclass(frozen=True)
class Opening:
    """What a jail needs for the inspection of a file that its parent has opened."""

    number: int
    """Names the inspection in later operations."""
    path: Path
    """For messages."""
    limits: Limits
    source_bytes: int
    file: BinaryIO


_numbers = count()
_of_parent: "dict[int, Inspection]" = {}
"""In a jail: the inspections that its parent has not closed."""


class Inspection(Packed):
    """One opening of a photo.

    Whatever is asked for may raise UnreadablePhoto, where there is no photo or a broken one;
    TooLarge, beyond the limits; and OSError, where the disk or the share does not give it.
    """

    def __init__(self, path: Path | Beneath, limits: Limits) -> None:
        """Open nothing yet: the name may decide."""
        self.path, self.limits = beneath.at(path), limits
        self._closing = ExitStack()
        self._number: int | None = None

    def close(self) -> None:
        """Close the file and free its bytes; the facts found so far stay."""
        self._closing.close()
        for name in ("_parts", "_file", "data"):
            self.__dict__.pop(name, None)
        if self._number is not None:
            jail.release(forget, self._number)
            self._number = None

    def packed(self) -> Opening:
        """Open the file, and return what a jail needs of it."""
        if self._number is None:
            self._number = next(_numbers)
        return Opening(self._number, self.path.path, self.limits, self.source_bytes, self._opened)

    @classmethod
    def unpacked(cls, value: Opening) -> "Inspection":
        """Return the inspection of the jail, a new one if it is the first operation on the file."""
        if (known := _of_parent.get(value.number)) is not None:
            value.file.close()
            return known
        made = _of_parent[value.number] = cls(value.path, value.limits)
        made._opened = made._closing.enter_context(value.file)
        made.source_bytes = value.source_bytes
        return made

    @cached_property
    def _opened(self) -> BinaryIO:
        file = self._closing.enter_context(open_regular(self.path))
        self._before = os.fstat(file.fileno())
        return file

    @cached_property
    def source_bytes(self) -> int:
        """Size of the file when it was opened."""
        _ = self._opened
        return self._before.st_size

    @cached_property
    def _parts(self) -> ReadOnce:
        self._check_bytes()
        return ReadOnce(self._opened.fileno(), self.source_bytes)

    def check_unchanged(self) -> None:
        """Compare the whole file that was read with what it was when it was opened.

        Only the process that opened the file may ask the system for its times.

        Raises:
            UnreadablePhoto: it was changed meanwhile.

        """
        now = fingerprints.of(os.fstat(self._opened.fileno()))
        with unreadable_if_broken(self.path):
            if now != fingerprints.of(self._before):
                raise Malformed("it was changed while it was read")

    @cached_property
    def _file(self) -> BinaryIO:
        return io.BufferedReader(self._parts)

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Open the file for reading; if it is broken, what the code inside raises says so."""
        file = self._file
        with unreadable_if_broken(self.path):
            yield file

    @cached_property
    def data(self) -> bytes:
        """The whole file."""
        parts = self._parts
        with unreadable_if_broken(self.path):
            data = parts.whole()
        self._file = io.BytesIO(data)
        del self._parts  # and with it the other copy
        return data

    @cached_property
    def sniffed(self) -> Format | str | None:
        """The format by content, as `detect.sniff` gives it."""
        with self.reading() as file:
            file.seek(0)
            return sniff(file.read(PREFIX_BYTES))

    @property
    def format(self) -> Format:
        """The format by content; UnreadablePhoto if photomend takes none such."""
        with unreadable_if_broken(self.path):
            if not isinstance(self.sniffed, Format):
                raise Malformed(f"its content is {self.sniffed or 'of no known format'}")
            return self.sniffed

    @cached_property
    def header(self) -> Header:
        """What the file announces, not yet held against the limits."""
        with self.reading() as file:
            return headers.read(file, self.format)

    @cached_property
    def metadata(self) -> Metadata:
        """The EXIF, XMP, ICC and other blocks."""
        with self.reading() as file:
            return blocks.extract(file, self.format)

    @cached_property
    def orientation(self) -> int:
        """The EXIF orientation that turns the stored pixels upright.

        Rotation and mirror of a container take its place.
        """
        if self.format not in (Format.HEIC, Format.AVIF):
            return self.metadata.orientation
        with self.reading() as file:
            return arrays.of_container(file)

    @property
    def decoded_orientation(self) -> int:
        """The orientation that is left to apply to decoded pixels; libheif turns a HEIC itself."""
        return 1 if self.format is Format.HEIC else self.orientation

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        width, height = jail.run(_size, self)
        with unreadable_if_broken(self.path):
            if not 0 < width * height <= self.limits.max_pixels:
                raise Malformed("it has an impossible size")
        return width, height

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256, in hexadecimal digits, of the coded image without its metadata."""
        found = jail.run(_content_hash, self)
        with unreadable_if_broken(self.path):
            if not re.fullmatch("[0-9a-f]{64}", found):
                raise Malformed("it has an impossible content hash")
        self.check_unchanged()
        return found

    def check(self) -> None:
        """Hold the header against the limits, before anything is decoded.

        Raises:
            TooLarge: it has more bytes or pixels.
            UnreadablePhoto: it has none.

        """
        self._check_bytes()
        width, height = self.header.width, self.header.height
        coded = max(width * height, self.header.coded)
        if coded > self.limits.max_pixels:
            most = self.limits.max_pixels // MEGA
            pixels = f"{width} x {height} pixels"
            if coded > width * height:
                pixels += f", made from {coded / MEGA:.0f} megapixels"
            shown = printable(self.path)
            raise TooLarge(f"{shown} has {pixels}, more than max_megapixels = {most}")
        with unreadable_if_broken(self.path):
            if width < 1 or height < 1:
                raise Malformed("it has no pixels")

    def _check_bytes(self) -> None:
        if self.source_bytes > self.limits.max_bytes:
            size = f"{self.source_bytes / MEGA:.0f} MB"
            most = self.limits.max_bytes // MEGA
            shown = printable(self.path)
            raise TooLarge(f"{shown} has {size}, more than max_megabytes = {most}")


def _size(seen: Inspection) -> tuple[int, int]:
    seen.check()
    return swapped(seen.decoded_orientation, (seen.header.width, seen.header.height))


def _content_hash(seen: Inspection) -> str:
    return content_hash.of_file(io.BytesIO(seen.data))


def forget(number: int) -> None:
    """Close an inspection in a jail."""
    if (seen := _of_parent.pop(number, None)) is not None:
        seen.close()


@contextmanager
def opened(path: Path | Beneath, limits: Limits) -> Iterator[Inspection]:
    """Inspect a photo, and close it at the end."""
    seen = Inspection(path, limits)
    try:
        yield seen
    finally:
        seen.close()
