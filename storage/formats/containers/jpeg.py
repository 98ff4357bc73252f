"""JPEG: markers, and the segments between them (ITU T.81, annex B)."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from storage.formats.containers import BLOCK_BYTES, Budget, Malformed, end, take

EOI, SOS, COM, APP0, _APP14 = 0xD9, 0xDA, 0xFE, 0xE0, 0xEE
_ADOBE, _ADOBE_BYTES = b"Adobe", 12
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TEMPORARY, _RESTARTS = 0x01, range(0xD0, 0xD8)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAME_BYTES, _FIRST_BLOCK_BYTES = 6, 4096
MOST_SCANS, MOST_SCANNED_PIXELS = 500, 10_000_000_000
"""Number of scans of an image, and of their pixels in all. A decoder goes over all pixels for each, however
short it is: measured were 0.6 s for a thousand million."""
MOST_BYTES = 65533
"""Maximum number of bytes in a segment."""


class Segment(NamedTuple):
    """One marker with its bytes; a scan's coded data belongs to its SOS segment."""

    marker: int
    start: int
    """Offset of the marker."""
    body: int
    length: int
    """Length of the body; for SOS, of the header only."""
    stop: int
    """Offset of the next marker."""


def segments(
    file: BinaryIO, *, with_scans: bool = True, budget: Budget | None = None
) -> Iterator[Segment]:
    """Yield all segments from SOI to EOI; a truncated file has no EOI.

    Without scans, those before the first one: the coded data is not read. `budget` is that of several
    images in one file.
    """
    at, size, scans, pixels = 2, end(file), 0, 0
    budget = budget or Budget(size)
    if take(file, 0, 2) != b"\xff\xd8":
        raise Malformed("no JPEG")
    while at + 2 <= size:
        budget.spend()
        lead, marker = take(file, at, 2)
        # Bytes that belong to nothing, which decoders skip, and fill bytes.
        if lead != 0xFF or marker in (0, 0xFF, *_RESTARTS):
            at = _scan_end(file, at, size)
            continue
        if marker == EOI:
            yield Segment(EOI, at, at + 2, 0, at + 2)
            return
        if marker == _TEMPORARY:
            at += 2
            continue
        if at + 4 > size:
            return
        length = int.from_bytes(take(file, at + 2, 2), "big") - 2
        if length < 0:
            raise Malformed(f"a segment of no length at {at}")
        stop = at + 4 + length
        if stop > size:
            return
        if marker in FRAMES and length >= _FRAME_BYTES:
            pixels = max(pixels, math.prod(_size(take(file, at + 4, _FRAME_BYTES))))
        if marker == SOS:
            if not with_scans:
                return
            scans += 1
            if scans > min(MOST_SCANS, MOST_SCANNED_PIXELS // max(1, pixels)):
                raise Malformed(f"it has {scans} scans or more")
            stop = _scan_end(file, stop, size)
        yield Segment(marker, at, at + 4, length, stop)
        at = stop


def _scan_end(file: BinaryIO, offset: int, size: int) -> int:
    """Return the offset of the next marker but restarts, or `size`, which is the end of the file."""
    file.seek(offset)
    carried, length = b"", _FIRST_BLOCK_BYTES
    while block := file.read(min(length, size - offset)):
        length = min(2 * length, BLOCK_BYTES)
        block = carried + block
        if found := _MARKER.search(block):
            return offset - len(carried) + found.start()
        offset += len(block) - len(carried)
        carried = block[-1:] if block[-1:] == b"\xff" else b""
    return offset


def _size(header: bytes) -> tuple[int, int]:
    """Return height and width in the header of a frame."""
    return int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")


def frame(file: BinaryIO) -> tuple[int, int, int, int, int]:
    """Return width, height, bits and components of the image, and the marker of its frame."""
    for segment in segments(file, with_scans=False):
        if segment.marker in FRAMES:
            header = take(file, segment.body, _FRAME_BYTES)
            height, width = _size(header)
            return width, height, header[0], header[5], segment.marker
    raise Malformed("it has no frame")


def is_metadata(file: BinaryIO, segment: Segment) -> bool:
    """Return whether it is an APPn or a comment, which decoders may ignore.

    An Adobe segment is none: it decides which colours the scan has.
    """
    if segment.marker == _APP14 and segment.length >= _ADOBE_BYTES:
        return take(file, segment.body, len(_ADOBE)) != _ADOBE
    return segment.marker == COM or APP0 <= segment.marker <= APP0 + 15


def is_jfif(marker: int, body: bytes) -> bool:
    """Return whether a segment is the header of JFIF, which says that the colours are YCbCr."""
    return marker == APP0 and body.startswith(b"JFIF\0")


def metadata(file: BinaryIO) -> list[tuple[int, bytes]]:
    """Return the marker and body of each APPn and comment before the first scan."""
    return [
        (segment.marker, take(file, segment.body, segment.length))
        for segment in segments(file, with_scans=False)
        if is_metadata(file, segment)
    ]


def coded(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the parts of the coded image in order, without SOI and EOI."""
    for segment in segments(file):
        if segment.marker != EOI and not is_metadata(file, segment):
            yield segment.start, segment.stop - segment.start


def coded_end(file: BinaryIO, budget: Budget | None = None) -> int | None:
    """Return the end of the image, where a trailer may begin; None if the file is truncated."""
    found = segments(file, budget=budget)
    return next((segment.stop for segment in found if segment.marker == EOI), None)


def splice(file: BinaryIO, parts: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the coded image with these APPn and comments in place of its own."""
    made = [b"\xff\xd8"]
    for marker, body in parts:
        if len(body) > MOST_BYTES:
            raise ValueError(f"a segment of {len(body)} bytes")
        made += [bytes((0xFF, marker)), (len(body) + 2).to_bytes(2, "big"), body]
    made += [take(file, start, length) for start, length in coded(file)]
    return b"".join([*made, b"\xff\xd9"])
