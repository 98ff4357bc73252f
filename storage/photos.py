"""Read photos as images, write images as photos, and refresh the metadata of results.

Everywhere else an image is float32 RGB in [0, 1], shape (H, W, 3). The original is opened
read-only; nothing here writes but into the open file it is given. Bytes of photos are read in
`storage/coded_photos.py` only, which runs in a jail where the process uses one.
"""

import errno
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from storage import atomic_files, coded_photos, inspection, jail, output_folder
from storage.beneath import Beneath
from storage.coded_photos import Copy, Decoded
from storage.errors import UnreadablePhoto
from storage.formats import arrays, decode, encode
from storage.formats.containers import Malformed
from storage.formats.decode import Coding, Pixels
from storage.formats.detect import FORMATS, Format
from storage.formats.safe_open import Limits, opened, unreadable_if_broken
from storage.formats.turn import Turn
from storage.inspection import Inspection
from storage.metadata.blocks import Metadata
from storage.metadata.provenance import Provenance

Image = NDArray[np.float32]
"""(H, W, 3), RGB, in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, with what its copy must keep."""

    image: Image
    """Upright, in the colour space of the photo."""
    coding: Coding
    metadata: Metadata
    source_bytes: int
    """Size of the file."""
    source_sha256: str
    """SHA-256 of the whole file, metadata included."""
    source_size: tuple[int, int]
    """Width and height of the upright source."""
    alpha: Pixels | None = None
    """(H, W, 1), upright; it is not restored."""
    orientation: int = 1
    """EXIF orientation by which the stored pixels were turned, 1 to 8."""
    wraps: bool = False
    """Whether its left and right edges show the same place: a panorama of 360 degrees."""

    @property
    def jpeg_quality(self) -> int | None:
        """JPEG quality of its file, also of a TIFF compressed by JPEG, 1 to 100; None for others."""
        return decode.jpeg_quality(self.coding.tables)

    @property
    def format(self) -> Format:
        """Format of the file and of its copy."""
        return self.coding.kind

    def with_image(self, image: Image) -> "Photo":
        """Return this photo with other pixels and the same metadata."""
        return replace(self, image=image)


@dataclass(frozen=True)
class Written:
    """What was written as a photo's copy."""

    sha256: str
    """SHA-256 of the file."""
    turn: Turn
    """The turn that pixels and metadata made."""
    dropped: tuple[str, ...] = ()
    """What was damaged in the source's metadata and is not in the copy, in a few words each."""
    receipt: Mapping[str, float | str] = field(default_factory=dict)
    """For the receipt, of a newly coded one: bytes, growth (a multiple of the source's bytes) and, of
    a lossy one, decibels against the best of its class; why it is larger than the rule allows."""


def read(path: Path | Beneath, limits: Limits) -> Photo:
    """Decode the photo at `path` and turn it upright.

    Raises:
        UnreadablePhoto: the file is truncated, broken, or of a kind that photomend leaves alone.
        TooLarge: it has more bytes or pixels than the limits allow.
        DecoderDied: the process that decodes photos died with it.
        OSError: the disk or the share does not give it; waiting may help.

    """
    with inspection.opened(path, limits) as seen:
        return decoded(seen)


def decoded(seen: Inspection) -> Photo:
    """Decode an inspected photo, turn it upright and end the inspection.

    Raises what `read` raises.
    """
    found = jail.run(coded_photos.decoded, seen)
    seen.check_unchanged()
    with unreadable_if_broken(seen.path):
        _check(found, seen.limits)
    seen.close()  # the image is many times as large: it gets the room of the file's bytes
    pixels = arrays.upright(found.pixels, found.turn_left)
    alpha = pixels[..., -1:].copy() if pixels.shape[2] in (2, 4) else None
    image = arrays.to_image(pixels, found.coding.top)
    return Photo(
        image, found.coding, found.metadata, seen.source_bytes, found.sha256, found.size, alpha,
        found.orientation, found.wraps,
    )  # fmt: skip


def _check(found: Decoded, limits: Limits) -> None:
    """Check what a jail says: a decoder that a photo took over may say anything."""
    height, width, channels = found.pixels.shape
    if height * width > limits.max_pixels:
        raise Malformed("it has other pixels than its header says")
    bits = {np.dtype(np.uint8): (8,), np.dtype(np.uint16): range(8, 17)}
    if channels > 4 or found.coding.bits not in bits[found.pixels.dtype]:
        raise Malformed("its pixels are of no kind that is handled")


def output_suffix(path: Path) -> str:
    """Return the suffix of the result: that of the source, where its format can be written."""
    return path.suffix if path.suffix.lower() in FORMATS else ".jpg"


def write(photo: Photo, file: BinaryIO, origin: Provenance, limits: Limits) -> Written:
    """Write the photo into an empty file, open for writing and reading, and read it again.

    Raises:
        UnreadablePhoto: what it says about its orientation cannot be changed.
        DecoderDied: the process that codes photos died with it.
        OSError: the disk does not take it or has less than the limits ask to be free (ENOSPC), or
            what it gives back is not what was written.

    """
    return _put(coded(photo, origin), file, limits)


def coded(photo: Photo, origin: Provenance) -> Copy:
    """Return the file that `write` writes.

    Raises:
        UnreadablePhoto, DecoderDied: as for `write`.

    """
    pixels = arrays.to_pixels(photo.image, photo.alpha, photo.coding)
    height, width = pixels.shape[:2]
    turn = Turn(photo.orientation, photo.source_size, (width, height))
    return jail.run(
        coded_photos.coded, pixels, photo.coding, photo.metadata, photo.source_bytes, turn, origin
    )


def verify(copy: Copy, data: bytes) -> None:
    """Check that the bytes of a copy decode to the right size and are upright.

    Raises:
        UnreadablePhoto, DecoderDied, OSError: as for `write`.

    """
    jail.run(coded_photos.verify, data, copy.kind, copy.turn.size)


def refreshed(
    source: Path | Beneath, old_output: Path | Beneath, file: BinaryIO, origin: Provenance,
    limits: Limits,
) -> Written:  # fmt: skip
    """Write the old output's coded image with the source's present metadata into an empty file.

    The coded image stays as it is, byte for byte, unless the owner turned the source by its
    orientation tag: then the result is turned too and coded again.

    Raises:
        UnreadablePhoto: one of the two is broken.
        TooLarge: one of the two exceeds the limits.
        DecoderDied, OSError: as for `write`.

    """
    with inspection.opened(source, limits) as seen, inspection.opened(old_output, limits) as old:
        copy = jail.run(coded_photos.refreshed, seen, old, origin)
    return _put(copy, file, limits)


def turn_of(source: Path | Beneath, result: Path | Beneath, limits: Limits) -> Turn:
    """Return the turn that a result which was published before made of its photo.

    Raises what `read` raises, of either of the two.
    """
    with inspection.opened(source, limits) as seen, inspection.opened(result, limits) as made:
        return jail.run(coded_photos.turn_of, seen, made)


def _put(copy: Copy, file: BinaryIO, limits: Limits) -> Written:
    """Write the file and check it."""
    folder = Path(f"/proc/self/fd/{file.fileno()}").resolve().parent
    output_folder.require_room(folder, len(copy.data), limits.min_free_bytes)
    file.write(copy.data)
    file.flush()
    atomic_files.sync_open(file.fileno())
    sha256 = hashlib.sha256(copy.data).hexdigest()
    file.seek(0)
    data = file.read(len(copy.data))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(errno.EIO, "the disk gives back other bytes than were written")
    verify(copy, data)
    return Written(sha256, copy.turn, copy.dropped, _receipt(copy))


def _receipt(copy: Copy) -> dict[str, float | str]:
    if copy.decibels is None:
        return {}
    made, lossy = len(copy.data), math.isfinite(copy.decibels)
    growth = made / copy.source_bytes
    receipt: dict[str, float | str] = {"bytes": made, "growth": round(growth, 3)}
    if lossy:
        receipt["decibels"] = round(copy.decibels, 1)
    if growth > encode.MOST_GROWTH:
        receipt["larger_than_the_rule"] = "its quality asks for it" if lossy else "it is lossless"
    return receipt


def ours(path: Path | Beneath) -> Provenance | None:
    """Return the provenance in a file's metadata, None if photomend did not make it.

    Raises:
        OSError: the disk or the share does not give it.

    """
    try:
        with opened(path) as file:
            return jail.run(coded_photos.provenance_of, file)
    except UnreadablePhoto:
        return None


def untouched(path: Path | Beneath) -> bool:
    """Return whether photomend made the file and nobody changed its coded image since.

    Raises:
        OSError: the disk or the share does not give it.

    """
    try:
        with opened(path) as file:
            return jail.run(coded_photos.is_untouched, file)
    except UnreadablePhoto:
        return False
