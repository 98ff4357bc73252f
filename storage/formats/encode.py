"""Encode arrays in the class of the source: its format, its subsampling, lossy or lossless.

Lossy formats are written at the source's quality. Where that is not within 45 dB of the best that
the class can do, finer qualities are tried while the file stays below 1.3 times the source. It
grows more only up to 38 dB, or if already the source's own quality takes that much. Where it is
larger at once, coarser qualities are tried.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile

from storage.formats import jpeg_in_tiff, lossless
from storage.formats.containers import Malformed, exif
from storage.formats.decode import MODES, Coding, Pixels, any_size, decode
from storage.formats.detect import Format
from storage.formats.headers import Header

LEAST_DECIBELS = 45.2
"""Target in dB: 45 against the image, less what rounding to 8 bits costs."""
MOST_GROWTH = 1.3
"""Maximum size of a result as a rule, as a multiple of its source's."""
FLOOR_DECIBELS = 38.0
"""What a result must have, however large it becomes: differences are hardly seen at native size."""
_OWN_BYTES = 4096
"""Bytes that the copy's provenance takes; of a small file they are not taken from its pixels."""

_BAND_PIXELS = 1 << 20
_PLACEHOLDER = b"MM\0*\0\0\0\x08\0\x01\x01\x31\0\x02\0\0\0\x01 \0\0\0" + bytes(4)
"""A placeholder EXIF block that reserves an item."""


Quality = Callable[[Pixels], bytes]
"""Return the pixels coded at one quality of a lossy format."""


@dataclass(frozen=True)
class Coded:
    """A coded image."""

    data: bytes
    decibels: float
    """Its PSNR against the best that its class can do, in dB."""


def encode(pixels: Pixels, coding: Coding, icc: bytes, source_bytes: int) -> Coded:
    """Encode pixels as `coding` says, without metadata except what the colours need."""
    match coding.kind:
        case Format.PNG if coding.bits == 16:
            return Coded(lossless.encode_png(pixels), math.inf)
        case Format.PNG:
            return Coded(_save(pixels, "PNG"), math.inf)
        case Format.TIFF if coding.lossless:
            return Coded(lossless.encode_tiff(pixels, coding.order), math.inf)
        case Format.WEBP if coding.lossless:
            return Coded(_save(pixels, "WEBP", lossless=True, exact=True), math.inf)
        case Format.JPEG | Format.TIFF:
            qualities, start = _jpeg_qualities(coding)
        case Format.WEBP:
            qualities, start = _webp_qualities(), _WEBP_QUALITIES.index(85)
        case Format.AVIF:
            qualities, start = _avif_qualities(coding, icc), _AVIF_QUALITIES.index(80)
        case Format.HEIC:
            qualities, start = _heic_qualities(coding, icc), _HEIC_QUALITIES.index(76)
    most_bytes = int(source_bytes * MOST_GROWTH) - min(_OWN_BYTES, source_bytes // 20)
    # Only JPEG says how well it was coded; its copy is not coarser unless nothing is lost by it.
    least = LEAST_DECIBELS if coding.tables else FLOOR_DECIBELS
    return _Trials(pixels, coding, qualities).best(start, most_bytes, least)


class _Trials:
    """Trials of the qualities of a class, the coarsest first."""

    def __init__(self, pixels: Pixels, coding: Coding, qualities: list[Quality]) -> None:
        """Code nothing yet."""
        self._pixels, self._coding, self._qualities = pixels, coding, qualities
        self._aim = pixels

    def best(self, start: int, most_bytes: int, least: float) -> Coded:
        """Return the pixels at the quality that is good and small enough.

        `least` is what a coarser quality than that of number `start` must have, in dB.
        """
        made = self._at(start)
        if made.decibels < LEAST_DECIBELS:
            finest = self._qualities[-1](self._pixels)
            self._aim = _decoded(finest, self._pixels, self._coding)
            made = Coded(made.data, self._decibels(made.data))
        if len(made.data) > most_bytes:
            made = self._coarser(made, start, most_bytes, least)
            if made.decibels >= FLOOR_DECIBELS:
                return made
        return self._finer(made, start, most_bytes)

    def _coarser(self, made: Coded, start: int, most_bytes: int, least: float) -> Coded:
        """Return the first coarser quality that is small enough, or the last good enough."""
        for number in reversed(range(start)):
            smaller = self._at(number)
            if smaller.decibels < least:
                break
            made = smaller
            if len(made.data) <= most_bytes:
                break
        return made

    def _finer(self, made: Coded, start: int, most_bytes: int) -> Coded:
        """Return the first finer quality that is good enough, or the best that is small enough."""
        for number in range(start + 1, len(self._qualities)):
            if made.decibels >= LEAST_DECIBELS:
                break
            larger = self._at(number)
            if len(larger.data) > most_bytes and made.decibels >= FLOOR_DECIBELS:
                break
            made = max(made, larger, key=lambda coded: coded.decibels)
        return made

    def _at(self, number: int) -> Coded:
        data = self._qualities[number](self._pixels)
        return Coded(data, self._decibels(data))

    def _decibels(self, data: bytes) -> float:
        return decibels_of(data, self._aim, self._coding)


def decibels_of(made: bytes, pixels: Pixels, coding: Coding) -> float:
    """Return the PSNR of the decoded result: of its colours or its alpha, whichever is lower."""
    channels = pixels.shape[2]
    colours = 1 if channels < 3 else 3
    decoded = _decoded(made, pixels, coding)
    found = decibels(decoded[..., :colours], pixels[..., :colours], coding.top)
    if channels > colours:
        found = min(found, decibels(decoded[..., -1:], pixels[..., -1:], coding.top))
    return found


def _decoded(made: bytes, pixels: Pixels, coding: Coding) -> Pixels:
    """Decode a result to as many channels as the pixels have."""
    height, width, channels = pixels.shape
    decoded, _ = decode(made, coding.kind, Header(width, height, coding.bits, channels))
    colours = 1 if channels < 3 else 3
    if decoded.shape[2] == colours < channels and (pixels[..., -1] == coding.top).all():
        whole = pixels.copy()  # encoders leave out an opaque alpha
        whole[..., :colours] = decoded
        return whole
    if decoded.shape[2] < colours or (channels > colours and decoded.shape[2] != channels):
        raise Malformed(f"{coding.kind} gave back {decoded.shape[2]} channels of {channels}")
    return decoded if channels > colours else decoded[..., :colours]


def decibels(one: Pixels, other: Pixels, top: int) -> float:
    """Return the PSNR of two images of one shape, computed in bands to save memory."""
    height, width, _ = other.shape
    rows = max(1, _BAND_PIXELS // width)
    total = 0.0
    for at in range(0, height, rows):
        band, same = one[at : at + rows], other[at : at + rows]
        difference = np.subtract(band, same, dtype=np.float32)
        total += float(np.einsum("hwc,hwc->", difference, difference, dtype=np.float64))
    error = total / other.size
    return math.inf if error == 0 else 10 * math.log10(top * top / error)


def _save(pixels: Pixels, plugin: str, **options: Any) -> bytes:
    """Encode with Pillow; its buffer must hold the whole JPEG."""
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    made = io.BytesIO()
    room, ImageFile.MAXBLOCK = ImageFile.MAXBLOCK, 4 * flat.size // pixels.shape[2] + (1 << 16)
    try:
        with any_size():
            Pillow.fromarray(flat).save(made, plugin, **options)
    finally:
        ImageFile.MAXBLOCK = room
    return made.getvalue()


_SCALES = (2.8, 2.0, 1.41, 1.0, 0.71, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.063, 0.044, 0.0)
"""Scales of the quantisation tables, in steps of 3 dB; the last makes all steps 1."""


def _jpeg_qualities(coding: Coding) -> tuple[list[Quality], int]:
    def quality_at(scale: float) -> Quality:
        tables = [[min(255, max(1, round(q * scale))) for q in table] for table in coding.tables]
        options: dict[str, Any] = {"qtables": tables[:2], "progressive": coding.progressive}
        if not coding.grey:
            options["subsampling"] = coding.sampling

        def code(pixels: Pixels) -> bytes:
            made = _save(pixels, "JPEG", optimize=True, **options)
            if coding.kind is Format.JPEG:
                return made
            return jpeg_in_tiff.wrapped(made, coding.sampling, coding.order)

        return code

    return [quality_at(scale) for scale in _SCALES], _SCALES.index(1.0)


_WEBP_QUALITIES = (30, 45, 60, 70, 78, 85, 90, 94, 97, 100)
_AVIF_QUALITIES = (30, 42, 52, 60, 68, 75, 80, 85, 90, 94, 97, 100)
_HEIC_QUALITIES = (30, 42, 52, 60, 68, 76, 84, 90, 95, 100)


def _webp_qualities() -> list[Quality]:
    def quality_at(quality: int) -> Quality:
        return lambda pixels: _save(pixels, "WEBP", quality=quality, exact=True)

    return [quality_at(quality) for quality in _WEBP_QUALITIES]


def _avif_qualities(coding: Coding, icc: bytes) -> list[Quality]:
    sampling = "4:0:0" if coding.grey else coding.sampling

    def quality_at(quality: int) -> Quality:
        options = {"quality": quality, "subsampling": sampling, "speed": 8, "xmp": b" "}
        options |= {"icc_profile": icc or None, "exif": _PLACEHOLDER}
        return lambda pixels: _save(_opaque(pixels), "AVIF", **options)

    return [quality_at(quality) for quality in _AVIF_QUALITIES]


def _opaque(pixels: Pixels) -> Pixels:
    """Return RGB with an opaque alpha channel, which is not written.

    Of RGB without one, libavif's fast path rounds both chroma channels down, half a step on average.
    """
    if pixels.shape[2] != 3:
        return pixels
    made = np.full((*pixels.shape[:2], 4), 255, pixels.dtype)
    made[..., :3] = pixels
    return made


def _heic_qualities(coding: Coding, icc: bytes) -> list[Quality]:
    import pillow_heif

    depth = "" if coding.bits == 8 else f";{coding.bits}"
    options: dict[str, Any] = {"bit_depth": coding.bits, "xmp": b" "}
    options["exif"] = exif.PREFIX + _PLACEHOLDER
    options["enc_params"] = {"preset": "fast"}  # a third of the time, 4 % more bytes
    if icc:
        options["icc_profile"] = icc
    elif coding.colours:
        options["nclx_profile"] = dict(coding.colours)

    def quality_at(quality: int) -> Quality:
        def code(pixels: Pixels) -> bytes:
            height, width, channels = pixels.shape
            sampling = {"subsampling": coding.sampling} if channels > 1 else {}
            made, data = io.BytesIO(), np.ascontiguousarray(pixels).data
            pillow_heif.encode(
                MODES[channels] + depth, (width, height), bytes(data), made, quality=quality,
                **options, **sampling,
            )  # fmt: skip
            return made.getvalue()

        return code

    return [quality_at(quality) for quality in _HEIC_QUALITIES]
