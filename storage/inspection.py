"""Open a photo once and return what decides about it: format, size, metadata, content hash.

Each fact is found when it is first asked for, and then kept. No byte is read twice, and only what
needs the coded image reads the whole file.
"""

import io
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

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
from storage.metadata import blocks
from storage.metadata.blocks import Metadata
from storage.text import printable


class Inspection:
    """One opening of a photo.

    Whatever is asked for may raise UnreadablePhoto, where there is no photo or a broken one;
    TooLarge, beyond the limits; and OSError, where the disk or the share does not give it.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open nothing yet: the name may decide."""
        self.path, self.limits = path, limits
        self._closing = ExitStack()

    def close(self) -> None:
        """Close the file and free its bytes; the facts found so far stay."""
        self._closing.close()
        for name in ("_parts", "_file", "data"):
            self.__dict__.pop(name, None)

    @cached_property
    def _opened(self) -> BinaryIO:
        return self._closing.enter_context(open_regular(self.path))

    @cached_property
    def source_bytes(self) -> int:
        """Size of the file."""
        return os.fstat(self._opened.fileno()).st_size

    @cached_property
    def _parts(self) -> ReadOnce:
        self._check_bytes()
        return ReadOnce(self._opened.fileno())

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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        self.check()
        return swapped(self.decoded_orientation, (self.header.width, self.header.height))

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256, in hexadecimal digits, of the coded image without its metadata."""
        return content_hash.of_file(io.BytesIO(self.data))

    def check(self) -> None:
        """Hold the header against the limits, before anything is decoded.

        Raises:
            TooLarge: it has more bytes or pixels.
            UnreadablePhoto: it has none.

        """
        self._check_bytes()
        width, height = self.header.width, self.header.height
        if math.prod(self.header.coded) > width * height:
            width, height = self.header.coded
        if width * height > self.limits.max_pixels:
            most = self.limits.max_pixels // MEGA
            pixels = f"{width} x {height} pixels"
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


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Inspection]:
    """Inspect a photo, and close it at the end."""
    seen = Inspection(path, limits)
    try:
        yield seen
    finally:
        seen.close()
