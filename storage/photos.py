"""Read photos as images, write images as photos, and refresh the metadata of results.

Everywhere else an image is float32 RGB in [0, 1], shape (H, W, 3). The original is opened
read-only; nothing here writes but into the temporary file it is given.
"""

import errno
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage import atomic_files, inspection, output_folder
from storage.errors import UnreadablePhoto
from storage.formats import arrays, content_hash, decode, encode, headers
from storage.formats.containers import Malformed
from storage.formats.decode import Coding, Pixels
from storage.formats.detect import FORMATS, Format
from storage.formats.safe_open import Limits, kind_of, opened, unreadable_if_broken
from storage.formats.turn import Turn
from storage.inspection import Inspection
from storage.metadata import blocks, provenance, xmp
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

    @property
    def jpeg_quality(self) -> int | None:
        """JPEG quality of its file, also of a TIFF compressed by JPEG, 1 to 100; None for others."""
        return decode.jpeg_quality(self.coding.tables)

    @property
    def format(self) -> Format:
        """Format of the file and of its copy."""
        return self.coding.kind

    @property
    def wraps(self) -> bool:
        """Whether its left and right edges show the same place: a panorama of 360 degrees."""
        return self.metadata.is_full_panorama

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


def read(path: Path, limits: Limits) -> Photo:
    """Decode the photo at `path` and turn it upright.

    Raises:
        UnreadablePhoto: the file is truncated, broken, or of a kind that photomend leaves alone.
        TooLarge: it has more bytes or pixels than the limits allow.
        OSError: the disk or the share does not give it; waiting may help.

    """
    with inspection.opened(path, limits) as seen:
        return decoded(seen)


def decoded(seen: Inspection) -> Photo:
    """Decode an inspected photo, turn it upright and end the inspection.

    Raises what `read` raises.
    """
    seen.check()
    with seen.reading():
        if seen.header.unusual:
            raise Malformed(seen.header.unusual)
        found, size, orientation = seen.metadata, seen.size, seen.orientation
        pixels, coding = decode.decode(seen.data, seen.format, seen.header)
        sha256 = hashlib.sha256(seen.data).hexdigest()
        if pixels.shape[0] * pixels.shape[1] > seen.limits.max_pixels:
            raise Malformed("it has other pixels than its header says")
    seen.close()  # the image is many times as large: it gets the room of the file's bytes
    pixels = arrays.upright(pixels, seen.decoded_orientation)
    alpha = pixels[..., -1:].copy() if pixels.shape[2] in (2, 4) else None
    image = arrays.to_image(pixels, coding.top)
    return Photo(image, coding, found, seen.source_bytes, sha256, size, alpha, orientation)


def output_suffix(path: Path) -> str:
    """Return the suffix of the result: that of the source, where its format can be written."""
    return path.suffix if path.suffix.lower() in FORMATS else ".jpg"


def write(photo: Photo, temporary: Path, origin: Provenance, limits: Limits) -> Written:
    """Write the photo as `temporary` and read it again.

    Raises:
        UnreadablePhoto: what it says about its orientation cannot be changed.
        OSError: the disk does not take it or has less than the limits ask to be free (ENOSPC), or
            what it gives back is not what was written.

    """
    pixels = arrays.to_pixels(photo.image, photo.alpha, photo.coding)
    height, width = pixels.shape[:2]
    coded = encode.encode(pixels, photo.coding, photo.metadata.icc, photo.source_bytes)
    del pixels
    turn = Turn(photo.orientation, photo.source_size, (width, height))
    kind = photo.coding.kind
    written = _put(coded.data, kind, photo.metadata, turn, temporary, origin, limits)
    return replace(written, receipt=_receipt(temporary, coded.decibels, photo))


def _receipt(written: Path, decibels: float, photo: Photo) -> dict[str, float | str]:
    made, lossy = written.stat().st_size, math.isfinite(decibels)
    growth = made / photo.source_bytes
    receipt: dict[str, float | str] = {"bytes": made, "growth": round(growth, 3)}
    if lossy:
        receipt["decibels"] = round(decibels, 1)
    if growth > encode.MOST_GROWTH:
        receipt["larger_than_the_rule"] = "its quality asks for it" if lossy else "it is lossless"
    return receipt


def refreshed(
    source: Path, old_output: Path, temporary: Path, origin: Provenance, limits: Limits
) -> Written:
    """Write the old output's coded image with the source's present metadata as `temporary`.

    The coded image stays as it is, byte for byte, unless the owner turned the source by its
    orientation tag: then the result is turned too and coded again.

    Raises:
        UnreadablePhoto: one of the two is broken.
        TooLarge: one of the two exceeds the limits.
        OSError: as for `write`.

    """
    with inspection.opened(source, limits) as seen:
        seen.check()
        found, now, size = seen.metadata, seen.orientation, seen.size
    with inspection.opened(old_output, limits) as seen:
        mark = _provenance(seen.metadata)
        before = now if mark is None else mark.orientation
        if before != now:
            photo = _turned(decoded(seen), before, now)
            photo = replace(photo, metadata=found, source_size=size)
            return write(photo, temporary, origin, limits)
        seen.check()
        turn = Turn(now, size, (seen.header.width, seen.header.height))
        with unreadable_if_broken(old_output):
            return _put(seen.data, seen.format, found, turn, temporary, origin, limits)


def turn_of(source: Path, result: Path, limits: Limits) -> Turn:
    """Return the turn that a result which was published before made of its photo.

    Raises what `read` raises, of either of the two.
    """
    with inspection.opened(result, limits) as seen:
        made = (seen.header.width, seen.header.height)
    with inspection.opened(source, limits) as seen:
        return Turn(seen.orientation, seen.size, made)


def _turned(photo: Photo, before: int, now: int) -> Photo:
    """Turn a result from the source's old orientation to its new one."""
    image = np.ascontiguousarray(arrays.turned(photo.image, before, now))
    alpha = None if photo.alpha is None else arrays.turned(photo.alpha, before, now)
    return replace(photo, image=image, alpha=alpha, orientation=now)


def _put(
    coded: bytes, kind: Format, found: Metadata, turn: Turn,
    temporary: Path, origin: Provenance, limits: Limits,
) -> Written:  # fmt: skip
    """Add metadata to a coded image, write the file and check it."""
    image_hash = content_hash.of_file(io.BytesIO(coded))
    origin = replace(origin, image_hash=image_hash, orientation=turn.orientation)
    described = found.mended(turn, origin)
    whole = blocks.splice(coded, kind, described)
    output_folder.require_room(temporary.parent, len(whole), limits.min_free_bytes)
    temporary.write_bytes(whole)
    atomic_files.sync(temporary)
    sha256 = hashlib.sha256(whole).hexdigest()
    del whole, coded
    _verify(temporary, kind, turn.size, sha256)
    return Written(sha256, turn, found.dropped)


def _verify(temporary: Path, kind: Format, shape: tuple[int, int], sha256: str) -> None:
    """Check that the file holds the written bytes, decodes to the right size and is upright."""
    data = temporary.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(errno.EIO, "the disk gives back other bytes than were written", temporary)
    header = headers.read(io.BytesIO(data), kind)
    pixels, _ = decode.decode(data, kind, header)
    if (pixels.shape[1], pixels.shape[0]) != shape:
        raise OSError(errno.EIO, f"it decodes to other than {shape} pixels", temporary)
    told = blocks.extract(io.BytesIO(data), kind).orientations
    if any(stated != 1 for stated in told):
        raise UnreadablePhoto(f"its copy would still say the orientations {told}")


def ours(path: Path) -> Provenance | None:
    """Return the provenance in a file's metadata, None if photomend did not make it.

    Raises:
        OSError: the disk or the share does not give it.

    """
    try:
        with opened(path) as file:
            return _provenance(blocks.extract(file, kind_of(file)))
    except UnreadablePhoto:
        return None


def untouched(path: Path) -> bool:
    """Return whether photomend made the file and nobody changed its coded image since.

    Raises:
        OSError: the disk or the share does not give it.

    """
    try:
        with opened(path) as file:
            mark = _provenance(blocks.extract(file, kind_of(file)))
            return mark is not None and mark.image_hash == content_hash.of_file(file)
    except UnreadablePhoto:
        return False


def _provenance(found: Metadata) -> Provenance | None:
    return provenance.of(xmp.parse_or_empty(found.xmp))
