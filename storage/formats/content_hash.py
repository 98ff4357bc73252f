"""The content hash: SHA-256 of a photo's coded image without its metadata.

What is hashed, by format: JPEG, all segments but APPn and comments, with the scans, and Adobe's
segment, which decides the colours; PNG, the data of IHDR, PLTE, tRNS, IDAT and APNG's chunks; WebP,
the image chunks; TIFF, the strips or tiles of its pages with the tags needed to read them; HEIC and
AVIF, the item properties and all items but Exif and XMP. A file that does not follow its format, whose
parts have more bytes than itself, or of no format that we know, is hashed whole.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import BinaryIO, Protocol

from storage.formats.containers import (
    Budget,
    Malformed,
    blocks,
    end,
    isobmff,
    jpeg,
    png,
    take,
    tiff,
    webp,
)
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import PREFIX_BYTES, Format, sniff


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def of_file(file: BinaryIO) -> str:
    """Return the content hash of an open file, as hexadecimal digits.

    Reads the file once, in blocks.
    """
    file.seek(0)
    kind = sniff(file.read(PREFIX_BYTES))
    made = hashlib.sha256()
    try:
        if isinstance(kind, Format):
            made.update(kind.value.encode())
            _feed(file, kind, made, Budget(end(file)))
            return made.hexdigest()
    except (ValueError, LookupError, ArithmeticError, struct.error):  # Malformed is a ValueError
        made = hashlib.sha256()
    _feed_range(file, made, 0, end(file), Budget(end(file)))
    return made.hexdigest()


def _feed(file: BinaryIO, kind: Format, made: _Hash, budget: Budget) -> None:
    match kind:
        case Format.JPEG:
            for start, length in jpeg.coded(file):
                _feed_range(file, made, start, length, budget)
        case Format.PNG:
            _feed_chunks(file, made, png.coded(file), budget)
        case Format.WEBP:
            _feed_chunks(file, made, webp.coded(file), budget)
        case Format.TIFF:
            _feed_tiff(Tiff(file), made, budget)
        case Format.HEIC | Format.AVIF:
            _feed_items(file, made, budget)


def _feed_range(file: BinaryIO, made: _Hash, start: int, length: int, budget: Budget) -> None:
    """Hash a range; all ranges together have no more bytes than the file."""
    for offset, size in blocks(file, start, length):
        budget.spend(size)
        made.update(take(file, offset, size))


def _feed_chunks(
    file: BinaryIO, made: _Hash, chunks: Iterable[tuple[bytes, int, int]], budget: Budget
) -> None:
    """Hash chunks, independent of how the encoder split its data into chunks."""
    before = b""
    for kind, start, length in chunks:
        if kind != before:
            made.update(kind)
        before = kind
        _feed_range(file, made, start, length, budget)


def _feed_tiff(file: Tiff, made: _Hash, budget: Budget) -> None:
    made.update(file.order.encode())
    for page in file.pages():
        for tag in tiff.CODED:
            if (entry := page.entries.get(tag)) is not None:
                budget.spend(entry.length)
                made.update(b"%d:%d;" % (tag, entry.kind) + file.bytes_of(entry))
        strips = file.strips(page)
        if not strips:
            raise Malformed("it has no strips")
        for start, length in strips:
            take(file.file, start, 0)
            _feed_range(file.file, made, start, length, budget)


def _feed_items(file: BinaryIO, made: _Hash, budget: Budget) -> None:
    found = isobmff.read(file)
    images = [
        item
        for _, item in sorted(found.items.items())
        if item.kind not in (isobmff.EXIF, isobmff.XMP) and item.extents
    ]
    if not images:
        raise Malformed("it has no image")
    for kind, data in found.properties:
        made.update(kind.encode("latin-1") + data)
    for item in images:
        made.update(item.kind.encode("latin-1"))
        for start, length in found.places(item):
            take(file, start, 0)
            _feed_range(file, made, start, length, budget)
