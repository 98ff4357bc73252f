"""JPEG as the compression of a TIFF: read how it was coded, and write it (TIFF technical note 2)."""

import io
import struct

from storage.formats.containers import Malformed, jpeg, take, tiff
from storage.formats.containers.tiff import LONG, SHORT, Tiff, Tree

OLD, CODEC = 6, 7
"""Numbers of the compression: that of TIFF 6.0, which is only read, and that of the technical note."""
MOST_SIDE = 65500
"""Largest width and height that the encoder takes."""
_YCBCR, _GREY, _SUBSAMPLING = 6, 1, 530
_SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}


def stream(data: bytes) -> bytes:
    """Return the first strip or tile of a TIFF as a JPEG of its own; b"" with another compression.

    Raises:
        Malformed: it breaks off.

    """
    file = Tiff(io.BytesIO(data))
    page = file.directory(file.first)
    codec = file.number(page, tiff.COMPRESSION, 1)
    if codec not in (OLD, CODEC):
        return b""
    strips = file.strips(page)
    if not strips:
        raise Malformed("it has no strips")
    head = b""
    if codec == OLD:
        place = (file.number(page, tag) for tag in (tiff.THUMBNAIL, tiff.THUMBNAIL_BYTES))
        head = take(file.file, *place)
    elif (entry := page.entries.get(tiff.JPEG_TABLES)) is not None:
        head = file.bytes_of(entry)
    strip = take(file.file, *strips[0])
    return head.removesuffix(b"\xff\xd9") + strip.removeprefix(b"\xff\xd8") if head else strip


def wrapped(coded: bytes, sampling: str, order: str) -> bytes:
    """Return a TIFF in a byte order whose only strip is a JPEG, grey or of this chroma sampling."""
    width, height, _, channels, _ = jpeg.frame(io.BytesIO(coded))
    shorts = {
        tiff.BITS: [8] * channels,
        tiff.COMPRESSION: [CODEC],
        tiff.PHOTOMETRIC: [_GREY if channels == 1 else _YCBCR],
        tiff.SAMPLES: [channels],
        tiff.PLANAR: [1],
    }
    if channels == 3:
        shorts[_SUBSAMPLING] = list(_SUBSAMPLINGS[sampling])
    root = Tree({
        tag: (SHORT, len(values), struct.pack(f"{order}{len(values)}H", *values))
        for tag, values in shorts.items()
    })  # fmt: skip
    for tag, value in ((tiff.WIDTH, width), (tiff.HEIGHT, height), (tiff.ROWS, height)):
        root.values[tag] = (LONG, 1, struct.pack(order + "I", value))
    return tiff.serialise(root, order, [jpeg.splice(io.BytesIO(coded), ())])
