"""Segments of a JPEG, and the further images that its MPF names."""

import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from storage.formats.containers import Budget, Malformed, end, exif, jpeg, take
from storage.formats.containers.tiff import Tiff
from storage.metadata import extended_xmp, jpeg_blocks, photoshop
from storage.uncarried import words

_CARRIED = (exif.PREFIX, jpeg_blocks.XMP, extended_xmp.PREFIX, jpeg_blocks.ICC,
            photoshop.JPEG_PREFIX, b"JFIF\0")  # fmt: skip
_DROPPED = (b"JFXX\0", b"MPF\0", b"\x1aQualcomm Camera Attributes", b"Adobe_CM\0", b"DJI-DBG\0")
"""Thumbnails, the index of previews, and tags of the camera."""
_SMALL = (b"Ducky", b"Meta\0\0", b"META\0\0", b"EPPIM\0", b"RMETA\0", b"ssuniqueid\0", b"SPIFF\0",
          b"FPXR\0", b"AROT\0\0", b"SCALADO\0", b"HUAWEI\0", b"PENTAX \0", b"SAMSUNG", b"AGFA",
          b"GoPro\0", b"Type=", b"[picture info]", b"\r\n[picture info]", b"OLYMPUS OPTICAL",
          b"SEIKO EPSON", b"Media Jukebox\0", b"SamsungUniqueID\0", b"QVCI\0", b"Q ")  # fmt: skip
"""Tags of makers and programs, which are dropped where they have at most `_SMALL_BYTES`."""
_SMALL_BYTES = 8192
_KNOWN = {
    b"FLIR\0": words.THERMAL,
    b"PARROT\0": words.THERMAL, b"urn:iso:std:iso:ts:21496": words.GAIN, b"HDR_RI": words.GAIN,
    b"_JPSJPS_": words.SECOND, b"Stim\0": words.SECOND,
    b"\x1aQualcomm Dual Camera Attributes": words.DEPTH,
}  # fmt: skip
_THERMAL_OF_DJI = (0xE3, 0xE4, 0xE5)
_GAIN_MARKS = (b"urn:iso:std:iso:ts:21496", b"hdr-gain-map", b"HDRGainMap", b"hdrgainmap")
_DEPTH_MARKS = (b"ns.apple.com/depthData", b"DataTypeDepth", b"DataTypeDisparity")
_MARK_BYTES = 1 << 16
"""Number of bytes of each further image that are searched for marks of a map."""
_MOST_IMAGES = 64
"""Number of further images that an index may name."""
_PREVIEWS, _UNDEFINED = 0x01, 0
"""The upper byte of the type of a large thumbnail, and the type that says nothing."""


class Further(NamedTuple):
    """One further image of an MPF (CIPA DC-007)."""

    start: int
    length: int
    kind: int
    """The type code of 24 bits."""


def reasons(file: BinaryIO, make: str) -> Iterator[str]:
    """Yield what the segments before the first scan hold that a copy would lack.

    `make` is the maker of the camera: DJI's thermal data have no name of their own.
    """
    parts = jpeg.metadata(file)
    manifests = {body[2:4] for marker, body in parts if marker == 0xEB and _is_manifest(body)}
    for marker, body in parts:
        known = marker == jpeg.COM or not body.strip(b"\0") or body.startswith(_CARRIED + _DROPPED)
        small = body.startswith(_SMALL) and len(body) <= _SMALL_BYTES
        manifest = marker == 0xEB and body[:2] == b"JP" and body[2:4] in manifests
        if not (known or small or manifest):
            name = f"APP{marker - jpeg.APP0} {words.shown(body)}".strip()
            found = (reason for start, reason in _KNOWN.items() if body.startswith(start))
            thermal = make == "DJI" and marker in _THERMAL_OF_DJI
            yield next(found, words.THERMAL if thermal else words.part(name))
    yield from _maps(file)


def _is_manifest(body: bytes) -> bool:
    """Return whether a segment begins a C2PA manifest (ISO 19566-5)."""
    return body[:2] == b"JP" and b"c2pa" in body[:128]


def _maps(file: BinaryIO) -> Iterator[str]:
    """Yield a reason for each further image of the MPF that is no preview."""
    width, height, *_ = jpeg.frame(file)
    budget = Budget(end(file))
    for image in further(file):
        if image.start + image.length > end(file) or image.length < 4:
            continue
        budget.spend(image.length)
        yield from judged(take(file, image.start, image.length), image.kind, (width, height))


def judged(data: bytes, kind: int, size: tuple[int, int]) -> Iterator[str]:
    """Yield why a further JPEG of a type is no preview of the first one, whose size is given."""
    start = data[:_MARK_BYTES]
    if any(mark in start for mark in _GAIN_MARKS):
        yield words.GAIN
    if any(mark in start for mark in _DEPTH_MARKS):
        yield words.DEPTH
    if kind >> 16 == _PREVIEWS:
        return
    try:
        width, height, _, channels, _ = jpeg.frame(io.BytesIO(data))
    except Malformed:
        yield words.part("a further image that is none")
        return
    smaller = width < size[0] and height < size[1]
    if kind != _UNDEFINED or not smaller or channels != 3:
        yield words.SECOND


def further(file: BinaryIO) -> list[Further]:
    """Return the images of an MPF but the first."""
    for segment in jpeg.segments(file, with_scans=False):
        body = take(file, segment.body, segment.length) if segment.marker == 0xE2 else b""
        if body.startswith(b"MPF\0"):
            try:
                index = Tiff(io.BytesIO(body[4:]))
                entry = index.directory(index.first).entries.get(0xB002)
                table = index.bytes_of(entry) if entry is not None else b""
            except Malformed:
                return []
            if len(table) > 16 * (1 + _MOST_IMAGES):
                raise Malformed(f"its index names {len(table) // 16} images")
            rows = (table[at : at + 16] for at in range(16, len(table) - 15, 16))
            return [_row(row, index.order, segment.body + 4) for row in rows]
    return []


def _row(row: bytes, order: str, base: int) -> Further:
    kind, length, offset = (
        int.from_bytes(row[at : at + 4], "little" if order == "<" else "big") for at in (0, 4, 8)
    )
    return Further(base + offset, length, kind & 0xFFFFFF)
