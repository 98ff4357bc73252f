"""Chunks of PNG and WebP, and what follows their end."""

from collections.abc import Iterator
from typing import BinaryIO

from storage.formats.containers import end, png, take, webp
from storage.metadata.blocks import PNG_KEPT
from storage.uncarried import words

_PNG_READ = frozenset((b"eXIf", b"iCCP", b"IEND", *png.IMAGE))
_PNG_DROPPED = frozenset(
    b"tIME bKGD hIST sPLT oFFs sCAL pCAL vpAg caNv iDOT caBX dSIG orNT pHYg".split()
)
"""Times, backgrounds, palettes, places on a page, hints for decoders, and C2PA manifests."""
_PNG_KNOWN = {b"gMAP": words.GAIN, b"gDAT": words.GAIN, b"sTER": words.SECOND,
              b"mkBF": words.LAYERS, b"mkBS": words.LAYERS, b"mkBT": words.LAYERS}  # fmt: skip
_WEBP_READ = frozenset((b"VP8X", webp.ODD_XMP, *webp.IMAGE, *webp.METADATA))
_WEBP_DROPPED = frozenset((b"C2PA",))
_MOST_BYTES = 1 << 20
"""Number of bytes behind the image that may be padding."""


def of_png(file: BinaryIO) -> Iterator[str]:
    """Yield what a PNG has that a copy would lack."""
    stop = end(file)
    for chunk in png.chunks(file):
        if chunk.kind not in _PNG_READ | _PNG_DROPPED | PNG_KEPT:
            unknown = words.part(f"the chunk {words.shown(chunk.kind)}")
            yield _PNG_KNOWN.get(chunk.kind, unknown)
        if chunk.kind in PNG_KEPT and chunk.length > png.METADATA_BYTES:
            yield words.part(f"a large chunk {words.shown(chunk.kind)}")
        if chunk.kind == b"IEND":
            stop = chunk.body + chunk.length + 4
    yield from _behind(file, stop)


def of_webp(file: BinaryIO) -> Iterator[str]:
    """Yield what a WebP has that a copy would lack."""
    stop = 12
    for chunk in webp.chunks(file):
        if chunk.kind not in _WEBP_READ | _WEBP_DROPPED:
            yield words.part(f"the chunk {words.shown(chunk.kind)}")
        stop = chunk.body + chunk.length + chunk.length % 2
    yield from _behind(file, stop)


def _behind(file: BinaryIO, stop: int) -> Iterator[str]:
    length = end(file) - stop
    if length > 0 and not words.is_padding(take(file, stop, min(length, _MOST_BYTES))):
        yield words.part(f"{length} bytes behind its end")
