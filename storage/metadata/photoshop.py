"""Photoshop's image resources: blocks of IPTC, thumbnails and more, in a JPEG or a TIFF."""

from collections.abc import Iterator
from typing import NamedTuple

from storage.formats.containers import MOST_PARTS
from storage.formats.turn import TRANSPOSED, Turn

JPEG_PREFIX = b"Photoshop 3.0\0"
_DROPPED = (1033, 1036, 1058, 1060)
"""Resources that are dropped: thumbnails, and copies of EXIF and XMP."""
_RESOLUTION = 1005
"""The resource with horizontal and vertical resolution, 8 bytes each."""


class Resource(NamedTuple):
    """One resource; its data begins at `data`."""

    number: int
    start: int
    data: int
    length: int
    stop: int


def resources(block: bytes) -> Iterator[Resource]:
    """Yield the resources of a block without its JPEG prefix, up to what is none or too many."""
    at = 0
    for _ in range(MOST_PARTS):
        if at + 12 > len(block) or block[at : at + 4] != b"8BIM":
            return
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        name_bytes = block[at + 6] + 1
        data = at + 6 + name_bytes + name_bytes % 2
        length = int.from_bytes(block[data : data + 4], "big")
        stop = data + 4 + length + length % 2
        yield Resource(number, at, data + 4, length, stop)
        at = stop


def without_thumbnail(block: bytes) -> bytes:
    """Return a block without thumbnails; an unreadable one stays as it is."""
    found = list(resources(block))
    rest = block[found[-1].stop if found else 0 :]
    if len(rest) >= 12:
        return block
    return b"".join(block[each.start : each.stop] for each in found if each.number not in _DROPPED)


def turned(block: bytes, turn: Turn) -> bytes:
    """Return a block whose horizontal and vertical resolutions are exchanged if the turn asks it."""
    made = bytearray(block)
    for each in resources(block) if turn.orientation in TRANSPOSED else ():
        if each.number == _RESOLUTION and each.length == 16:
            across, down = (block[at : at + 8] for at in (each.data, each.data + 8))
            made[each.data : each.data + len(across + down)] = down + across
    return bytes(made)


def pieces(body: bytes, most: int) -> list[bytes]:
    """Return a segment's body as bodies of at most `most` bytes, each with the prefix."""
    block, room = body.removeprefix(JPEG_PREFIX), most - len(JPEG_PREFIX)
    return [JPEG_PREFIX + block[at : at + room] for at in range(0, len(block), room)]
