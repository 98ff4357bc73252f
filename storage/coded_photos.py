"""Decode photos, code their copies and read their marks: what reads bytes that may be hostile.

Each public function is an operation of a jail: it opens no file, and what it is given or returns
can be sent to another process.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from errno import EIO
from typing import BinaryIO

import numpy as np

from storage.errors import UnreadablePhoto
from storage.formats import arrays, content_hash, decode, encode, headers
from storage.formats.containers import Malformed
from storage.formats.decode import Coding, Pixels
from storage.formats.detect import Format
from storage.formats.safe_open import kind_of
from storage.formats.turn import Turn
from storage.inspection import Inspection
from storage.metadata import blocks, provenance, xmp
from storage.metadata.blocks import Metadata
from storage.metadata.provenance import Provenance


@dataclass(frozen=True, eq=False)
class Decoded:
    """A photo as its file stores it."""

    pixels: Pixels
    coding: Coding
    metadata: Metadata
    sha256: str
    """SHA-256 of the whole file, metadata included."""
    size: tuple[int, int]
    """Width and height of the upright photo."""
    orientation: int
    """EXIF orientation of the file, 1 to 8."""
    turn_left: int
    """The orientation by which the pixels must still be turned."""
    wraps: bool
    """Whether it is a panorama of 360 degrees."""


@dataclass(frozen=True, eq=False)
class Copy:
    """The file of a mended copy."""

    data: bytes
    kind: Format
    turn: Turn
    """The turn that pixels and metadata made."""
    dropped: tuple[str, ...]
    """What was damaged in the source's metadata and is not in the copy, in a few words each."""
    source_bytes: int
    """Size of the file that the pixels come from."""
    decibels: float | None
    """PSNR against the best that its class can do, in dB; None if it was not coded anew."""


def decoded(seen: Inspection) -> Decoded:
    """Decode an inspected photo.

    Raises:
        UnreadablePhoto: it is broken, or of a kind that photomend leaves alone.
        TooLarge: it is beyond the limits.

    """
    seen.check()
    with seen.reading():
        if seen.header.unusual:
            raise Malformed(seen.header.unusual)
        found, size, orientation = seen.metadata, seen.size, seen.orientation
        pixels, coding = decode.decode(seen.data, seen.format, seen.header)
        sha256 = hashlib.sha256(seen.data).hexdigest()
    turn_left, wraps = seen.decoded_orientation, found.is_full_panorama
    return Decoded(pixels, coding, found, sha256, size, orientation, turn_left, wraps)


def coded(
    pixels: Pixels, coding: Coding, metadata: Metadata, source_bytes: int, turn: Turn,
    origin: Provenance,
) -> Copy:  # fmt: skip
    """Code upright pixels like their source, with its metadata."""
    made = encode.encode(pixels, coding, metadata.icc, source_bytes)
    return _described(made.data, coding.kind, metadata, turn, origin, source_bytes, made.decibels)


def refreshed(source: Inspection, old: Inspection, origin: Provenance) -> Copy:
    """Return the copy `old` with the present metadata of its source.

    It is coded again only if the source was turned since.
    """
    source.check()
    found, now, size = source.metadata, source.orientation, source.size
    mark = _provenance(old.metadata)
    before = now if mark is None else mark.orientation
    if before != now:
        seen = decoded(old)
        upright = arrays.upright(seen.pixels, seen.turn_left)
        pixels = np.ascontiguousarray(arrays.turned(upright, before, now))
        turn = Turn(now, size, (pixels.shape[1], pixels.shape[0]))
        return coded(pixels, seen.coding, found, old.source_bytes, turn, origin)
    old.check()
    turn = Turn(now, size, (old.header.width, old.header.height))
    with old.reading():
        return _described(old.data, old.format, found, turn, origin, old.source_bytes, None)


def turn_of(source: Inspection, copy: Inspection) -> Turn:
    """Return the turn that a copy made of its source."""
    return Turn(source.orientation, source.size, (copy.header.width, copy.header.height))


def _described(
    image: bytes, kind: Format, found: Metadata, turn: Turn, origin: Provenance,
    source_bytes: int, decibels: float | None,
) -> Copy:  # fmt: skip
    """Add metadata to a coded image."""
    image_hash = content_hash.of_file(io.BytesIO(image))
    origin = replace(origin, image_hash=image_hash, orientation=turn.orientation)
    whole = blocks.splice(image, kind, found.mended(turn, origin))
    return Copy(whole, kind, turn, found.dropped, source_bytes, decibels)


def verify(data: bytes, kind: Format, size: tuple[int, int]) -> None:
    """Check that a copy decodes to the right size and is upright."""
    pixels, _ = decode.decode(data, kind, headers.read(io.BytesIO(data), kind))
    if (pixels.shape[1], pixels.shape[0]) != size:
        raise OSError(EIO, f"it decodes to other than {size} pixels")
    told = blocks.extract(io.BytesIO(data), kind).orientations
    if any(stated != 1 for stated in told):
        raise UnreadablePhoto(f"its copy would still say the orientations {told}")


def provenance_of(file: BinaryIO) -> Provenance | None:
    """Return the provenance in a file's metadata, None if photomend did not make it."""
    return _provenance(blocks.extract(file, kind_of(file)))


def is_untouched(file: BinaryIO) -> bool:
    """Return whether photomend made the file and nobody changed its coded image since."""
    mark = provenance_of(file)
    return mark is not None and mark.image_hash == content_hash.of_file(file)


def camera(found: Metadata) -> str:
    """Return maker and model of the camera that the EXIF names, or nothing."""
    make, model = found.facts.make, found.facts.model
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _provenance(found: Metadata) -> Provenance | None:
    return provenance.of(xmp.parse_or_empty(found.xmp))
