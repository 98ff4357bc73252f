"""JPEG: markers, and the segments between them (ITU T.81, annex B)."""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from storage.formats.containers import BLOCK_BYTES, Malformed, end, take

EOI, SOS, COM, APP0, _APP14 = 0xD9, 0xDA, 0xFE, 0xE0, 0xEE
_ADOBE, _ADOBE_BYTES = b"Adobe", 12
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
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


def segments(file: BinaryIO, *, with_scans: bool = True) -> Iterator[Segment]:
    """Yield all segments from SOI to EOI; a truncated file has no EOI.

    Without scans, those before the first one: the coded data is not read.
    """
    at, size = 2, end(file)
    if take(file, 0, 2) != b"\xff\xd8":
        raise Malformed("no JPEG")
    while at + 2 <= size:
        lead, marker = take(file, at, 2)
        if lead != 0xFF or marker == 0:  # bytes that belong to nothing, which decoders skip
            at = _scan_end(file, at)
            continue
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == EOI:
            yield Segment(EOI, at, at + 2, 0, at + 2)
            return
        if marker in _ALONE:
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
        if marker == SOS:
            if not with_scans:
                return
            stop = _scan_end(file, stop)
        yield Segment(marker, at, at + 4, length, stop)
        at = stop


def _scan_end(file: BinaryIO, offset: int) -> int:
    """Return the offset of the next marker but restarts, or the end of the file."""
    file.seek(offset)
    carried = b""
    while block := file.read(BLOCK_BYTES):
        block = carried + block
        if found := _MARKER.search(block):
            return offset - len(carried) + found.start()
        offset += len(block) - len(carried)
        carried = block[-1:] if block[-1:] == b"\xff" else b""
    return offset


def frame(file: BinaryIO) -> tuple[int, int, int, int, int]:
    """Return width, height, bits and components of the image, and the marker of its frame."""
    for segment in segments(file, with_scans=False):
        if segment.marker in FRAMES:
            header = take(file, segment.body, 6)
            height, width = (int.from_bytes(header[at : at + 2], "big") for at in (1, 3))
            return width, height, header[0], header[5], segment.marker
    raise Malformed("it has no frame")


def is_metadata(file: BinaryIO, segment: Segment) -> bool:
    """Return whether it is an APPn or a comment, which decoders may ignore.

    An Adobe segment is none: it decides which colours the scan has.
    """
    if segment.marker == _APP14 and segment.length >= _ADOBE_BYTES:
        return take(file, segment.body, len(_ADOBE)) != _ADOBE
    return segment.marker == COM or APP0 <= segment.marker <= APP0 + 15


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


def coded_end(file: BinaryIO) -> int | None:
    """Return the end of the image, where a trailer may begin; None if the file is truncated."""
    return next((segment.stop for segment in segments(file) if segment.marker == EOI), None)


def splice(file: BinaryIO, parts: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the coded image with these APPn and comments in place of its own."""
    made = [b"\xff\xd8"]
    for marker, body in parts:
        if len(body) > MOST_BYTES:
            raise ValueError(f"a segment of {len(body)} bytes")
        made += [bytes((0xFF, marker)), (len(body) + 2).to_bytes(2, "big"), body]
    made += [take(file, start, length) for start, length in coded(file)]
    return b"".join([*made, b"\xff\xd9"])
