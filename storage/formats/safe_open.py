"""Open a file that may be broken, huge, a pipe, or on a failing disk; and its limits."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from PIL import UnidentifiedImageError

from storage import beneath
from storage.beneath import Beneath
from storage.errors import DecoderDied, TooLarge, UnreadablePhoto
from storage.formats.containers import Malformed
from storage.formats.detect import PREFIX_BYTES, Format, sniff
from storage.settings import Settings
from storage.text import printable

MEGA = 1_000_000
_NOT_REGULAR = (errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG)
"""Errors that are about the file, not the disk."""


@dataclass(frozen=True)
class Limits:
    """The limits of a photo's size, and of free disk space."""

    max_bytes: int
    max_pixels: int
    min_free_bytes: int
    """Results are not written while the disk has less free."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that the settings set."""
        return cls(
            settings.max_megabytes * MEGA,
            settings.megapixels * MEGA,
            settings.min_free_megabytes * MEGA,
        )


@contextmanager
def opened(place: Path | Beneath) -> Iterator[BinaryIO]:
    """Open a regular file for reading; never a folder, a pipe or a device, which may hang.

    What a broken file makes the code inside raise becomes UnreadablePhoto; an error of the disk
    passes, and so does a lack of memory.

    Raises:
        UnreadablePhoto: it is no regular file, or empty, or broken.
        OSError: the disk or the share does not give it.

    """
    with open_regular(place) as file, unreadable_if_broken(place):
        yield file


def open_regular(place: Path | Beneath) -> BinaryIO:
    """Open a regular file that should be a photo.

    Raises:
        UnreadablePhoto: it is no regular file, or empty; a symbolic link is none.
        PhotoChanged: it is not the recorded version.
        OSError: the disk or the share does not give it.

    """
    shown = printable(place)
    try:
        file = beneath.at(place).open()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NOT_REGULAR:
            raise
        reason = getattr(error, "strerror", error)
        raise UnreadablePhoto(f"{shown} cannot be opened as a file: {reason}") from error
    if os.fstat(file.fileno()).st_size > 0:
        return file
    file.close()
    raise UnreadablePhoto(f"{shown} is empty")


@contextmanager
def unreadable_if_broken(path: Path | Beneath) -> Iterator[None]:
    """Raise UnreadablePhoto, with the path, for any error that a broken file causes inside.

    An error of the disk passes, and so does a lack of memory.
    """
    try:
        yield
    except (UnreadablePhoto, TooLarge, DecoderDied, MemoryError):
        raise
    except Exception as error:  # what decoders raise for broken bytes has no common class
        if isinstance(error, OSError) and error.errno:
            raise
        reason = str(error).split("\n")[0] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its text names an address in memory
            reason = "no decoder knows what it is"
        message = f"{printable(path)} is no photo that can be decoded: {reason}"
        raise UnreadablePhoto(message) from error


def kind_of(file: BinaryIO) -> Format:
    """Return the format of an open file, by its content.

    Raises:
        Malformed: it is none that photomend takes.

    """
    file.seek(0)
    kind = sniff(file.read(PREFIX_BYTES))
    if not isinstance(kind, Format):
        raise Malformed(f"its content is {kind or 'of no known format'}")
    return kind
