"""What a photo has that its copy cannot carry: the photo is left alone.

A list names what may be dropped, for each format: thumbnails, previews, C2PA manifests, padding and
small known segments of makers. All else that is neither carried nor named there is a reason.
"""

from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.detect import Format
from storage.inspection import Inspection
from storage.uncarried import chunks, items, segments, tiff_pages, trailer, xmp_structures


def reasons(seen: Inspection, file: BinaryIO, kind: Format) -> Iterator[str]:
    """Yield what a copy of the photo would lack, in a few words each; the cheapest checks first."""
    yield from xmp_structures.reasons(seen.metadata)
    match kind:
        case Format.JPEG:
            yield from segments.reasons(file, seen.metadata.facts.make)
        case Format.PNG:
            yield from chunks.of_png(file)
        case Format.WEBP:
            yield from chunks.of_webp(file)
        case Format.TIFF:
            yield from tiff_pages.reasons(file)
        case Format.HEIC | Format.AVIF:
            yield from items.reasons(file, kind)


def behind(file: BinaryIO, kind: Format) -> Iterator[str]:
    """Yield what is behind the image that a copy would lack; a JPEG is read to its end."""
    if kind is Format.JPEG:
        yield from trailer.reasons(file)
