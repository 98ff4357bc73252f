"""Read size, bits and channels from a file's header, before anything is decoded."""

from dataclasses import dataclass
from typing import BinaryIO

from storage.formats import derived_items, jpeg_in_tiff
from storage.formats.containers import Malformed, isobmff, jpeg, png, tiff, webp
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import Format

PQ, HLG = 16, 18
"""Transfer functions of HDR (ITU-T H.273, table 3)."""
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (2, 13)
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_FLAT_PHOTOMETRICS = {1: (1, 2), 2: (3, 4), 6: (3,)}
"""Numbers of channels that grey, RGB and YCbCr may have."""

_TIFF_CODECS = {8: (1, 5, 6, 7, 8, 32773, 32946, 34925, 50000), 16: (1, 5, 8, 32773, 32946)}
"""Compressions that Pillow (8 bits) and OpenCV (16 bits) decode."""
_YCBCR = 6
_JPEG = (jpeg_in_tiff.OLD, jpeg_in_tiff.CODEC)
_CODEC_NAMES = {
    9: "JBIG", 10: "JBIG", 32908: "PixarFilm", 32909: "PixarLog", 34661: "JBIG", 34676: "SGILog",
    34677: "SGILog24", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA",
    50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What a file's header says about its pixels."""

    width: int
    height: int
    bits: int
    """Bits of each channel."""
    channels: int
    unusual: str | None = None
    """Why photos with such pixels are left alone; None if they are not."""
    coded: int = 0
    """Number of pixels that are decoded, where it may be larger than width times height: those of tiles,
    and of what is then cropped."""


def read(file: BinaryIO, kind: Format) -> Header:
    """Read a file's header.

    Raises:
        Malformed: it is broken.

    """
    match kind:
        case Format.JPEG:
            return _jpeg(file)
        case Format.PNG:
            return _png(file)
        case Format.TIFF:
            return _tiff(file)
        case Format.WEBP:
            found = webp.header(file)
            return Header(found.width, found.height, 8, 4 if found.flags & webp.ALPHA else 3)
        case Format.HEIC | Format.AVIF:
            return _items(file, isobmff.read(file), kind)


def _jpeg(file: BinaryIO) -> Header:
    width, height, bits, channels, frame = jpeg.frame(file)
    unusual = "a hierarchical JPEG, which photomend does not handle" if frame & 4 else None
    if channels not in (1, 3):
        unusual = "its colours are CMYK, which photomend does not handle"
    elif bits != 8:
        unusual = f"a JPEG of {bits} bits, which photomend does not handle"
    return Header(width, height, bits, channels, unusual)


def _png(file: BinaryIO) -> Header:
    found = png.header(file)
    kinds = {chunk.kind for chunk in png.chunks(file)}
    unusual = None
    if found.colour == 3 or found.bits < 8:
        unusual = "a graphic with a palette or few colours"
    elif b"tRNS" in kinds:
        unusual = "a graphic with one transparent colour"
    elif b"cICP" in kinds and _png_transfer(file) in (PQ, HLG):
        unusual = "its brightness is HDR, which photomend does not handle"
    return Header(
        found.width, found.height, found.bits, _PNG_CHANNELS.get(found.colour, 0), unusual
    )


def _png_transfer(file: BinaryIO) -> int:
    data = next((data for kind, data in png.metadata(file) if kind == b"cICP"), b"")
    return data[1] if len(data) == 4 else 0


def _tiff(file: BinaryIO) -> Header:
    found = Tiff(file)
    page = found.directory(found.first)
    width, height = found.number(page, tiff.WIDTH), found.number(page, tiff.HEIGHT)
    bits = found.numbers(page, tiff.BITS)[:64] or (1,)
    channels = found.number(page, tiff.SAMPLES, 1)
    kind = found.number(page, tiff.PHOTOMETRIC, -1)
    floats = any(value != 1 for value in found.numbers(page, tiff.SAMPLE_FORMAT)[:64])
    unusual = None
    if channels not in _FLAT_PHOTOMETRICS.get(kind, ()):
        unusual = "a TIFF of neither plain grey nor RGB colours"
    elif channels in (2, 4) and found.number(page, tiff.EXTRA) not in (1, 2):
        unusual = "a TIFF with a channel of no stated meaning"
    elif floats or set(bits) not in ({8}, {16}) or len(bits) != channels:
        unusual = "a TIFF of neither 8 nor 16 bits for each colour"
    elif (codec := found.number(page, tiff.COMPRESSION, 1)) not in _TIFF_CODECS[bits[0]]:
        name = _CODEC_NAMES.get(codec, f"method {codec}")
        unusual = f"a TIFF of {bits[0]} bits compressed by {name}, which photomend does not handle"
    elif kind == _YCBCR and codec not in _JPEG:
        unusual = "a TIFF of YCbCr colours that JPEG does not compress"
    elif codec in _JPEG and channels in (2, 4):
        unusual = "a TIFF with alpha compressed by JPEG, which photomend does not handle"
    elif codec in _JPEG and max(width, height) > jpeg_in_tiff.MOST_SIDE:
        unusual = f"a TIFF of more than {jpeg_in_tiff.MOST_SIDE} pixels a side, compressed by JPEG"
    elif codec == jpeg_in_tiff.OLD and tiff.THUMBNAIL not in page.entries:
        unusual = "a TIFF with the older form of JPEG, which photomend does not handle"
    elif bits[0] == 16 and not _plain_16(found, page, channels):
        unusual = "a 16-bit TIFF laid out in a way that photomend does not handle"
    return Header(width, height, bits[0], channels, unusual, _tiled(found, page, width, height))


def _tiled(found: Tiff, page: tiff.Directory, width: int, height: int) -> int:
    """Return the pixels of all tiles, which reach beyond the image; 0 without tiles."""
    across, down = found.number(page, tiff.TILE_WIDTH), found.number(page, tiff.TILE_HEIGHT)
    if across < 1 or down < 1:
        return 0
    return -(-width // across) * across * (-(-height // down) * down)


def _plain_16(found: Tiff, page: tiff.Directory, channels: int) -> bool:
    """Return whether OpenCV decodes these 16-bit pixels unchanged."""
    straight = found.number(page, tiff.EXTRA) != 1
    return found.number(page, tiff.PLANAR, 1) == 1 and channels != 2 and straight


def _items(file: BinaryIO, found: isobmff.Container, kind: Format) -> Header:
    sizes = found.of_primary("ispe")
    if not sizes or len(sizes[-1]) < 12:
        raise Malformed("it has no size")
    width, height = (int.from_bytes(sizes[-1][at : at + 4], "big") for at in (4, 8))
    coded = max(width * height, derived_items.coded_pixels(file, found))
    for kept in found.of_primary("clap") if kind is Format.HEIC else ():
        width, height = _cropped(kept)
    turns = found.of_primary("irot")
    if kind is Format.HEIC and turns and turns[-1][0] & 1:
        width, height = height, width
    bits = _bits(found)
    channels = (
        4 if any("alpha" in name or name.endswith(":1") for name in found.auxiliaries()) else 3
    )
    unusual = _unusual_items(found, kind, bits)
    return Header(width, height, bits, channels, unusual, coded)


def _cropped(clean_aperture: bytes) -> tuple[int, int]:
    """Return the size after a clap property, whose sides are fractions, cropped the image."""
    if len(clean_aperture) < 16:
        raise Malformed("its crop breaks off")
    parts = [int.from_bytes(clean_aperture[at : at + 4], "big") for at in range(0, 16, 4)]
    if not (parts[1] and parts[3]):
        raise Malformed("its crop has no size")
    return parts[0] // parts[1], parts[2] // parts[3]


def _bits(found: isobmff.Container) -> int:
    """Return the bits of the primary image, whose pixels may be in other items (a grid)."""
    if (depths := found.of_primary("pixi")) and len(depths[0]) > 5:
        return max(depths[0][5 : 5 + depths[0][4]], default=8)
    for kind, data in found.properties:
        if kind == "av1C" and len(data) > 2:
            return 8 if not data[2] & 0x40 else 12 if data[2] & 0x20 else 10
        if kind == "hvcC" and len(data) > 17:
            return (data[17] & 7) + 8
    return 8


def _unusual_items(found: isobmff.Container, kind: Format, bits: int) -> str | None:
    colours = [data for data in found.of_primary("colr") if data[:4] == b"nclx" and len(data) > 9]
    codes = [int.from_bytes(colours[0][at : at + 2], "big") for at in (4, 6)] if colours else [2, 2]
    has_icc = any(data[:4] in (b"prof", b"rICC") for data in found.of_primary("colr"))
    if codes[1] in (PQ, HLG):
        return "its brightness is HDR, which photomend does not handle"
    if kind is Format.HEIC:
        return None
    if bits != 8:
        return f"an AVIF of {bits} bits, which cannot be written back"
    plain = codes[0] in _SRGB_PRIMARIES and codes[1] in _SRGB_TRANSFERS
    if not has_icc and not plain:
        return "an AVIF whose colours cannot be written back"
    if found.of_primary("clap"):
        return "an AVIF that is cropped by its container"
    return None
