"""Encode arrays at the quality of the source.

Lossy formats are written at the source's quality and subsampling, in steps to a better quality
until what a reader decodes is within 45 dB of what was to be written, and in steps to a lower one
(never below 45 dB) while the file is larger than 1.3 times the source. Where both cannot be had,
45 dB wins; so does a lossless format, whose size is what it is.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile

from storage.formats import lossless
from storage.formats.containers import Malformed, exif
from storage.formats.decode import MODES, Coding, Pixels, any_size, decode
from storage.formats.detect import Format
from storage.formats.headers import Header

LEAST_DECIBELS = 45.2
"""Target in dB: 45 against the image, less what rounding to 8 bits costs."""
MOST_GROWTH = 1.3
"""Maximum size of a result, as a multiple of its source's."""
LEAST_GAIN = 1.0
"""Gain in dB below which a finer quality is limited by the chroma subsampling."""
STEP_DECIBELS = 4.0
"""Largest gain in dB from one quality to the next."""

_BAND_PIXELS = 1 << 20
_PLACEHOLDER = b"MM\0*\0\0\0\x08\0\x01\x01\x31\0\x02\0\0\0\x01 \0\0\0" + bytes(4)
"""A placeholder EXIF block that reserves an item."""


@dataclass(frozen=True)
class Quality:
    """A quality of a lossy format, and the chroma subsampling that belongs to it."""

    code: Callable[[Pixels], bytes]
    """Return the pixels coded at this quality."""
    sampling: str


def encode(pixels: Pixels, coding: Coding, icc: bytes, source_bytes: int) -> bytes:
    """Encode pixels as `coding` says, without metadata except what the colours need."""
    match coding.kind:
        case Format.PNG if coding.bits == 16:
            return lossless.encode_png(pixels)
        case Format.PNG:
            return _save(pixels, "PNG")
        case Format.TIFF:
            return lossless.encode_tiff(pixels, coding.order)
        case Format.WEBP if coding.lossless:
            return _save(pixels, "WEBP", lossless=True, exact=True)
        case Format.JPEG:
            qualities, start = _jpeg_qualities(coding)
        case Format.WEBP:
            qualities, start = _webp_qualities(), 3
        case Format.AVIF:
            qualities, start = _avif_qualities(coding, icc), 4
        case Format.HEIC:
            qualities, start = _heic_qualities(coding, icc), 3
    return _raise_quality(pixels, coding, qualities, start, source_bytes * MOST_GROWTH)


def _raise_quality(
    pixels: Pixels, coding: Coding, qualities: list[Quality], start: int, most_bytes: float
) -> bytes:
    """Return the pixels coded at the lowest quality, from number `start` on, that is good enough.

    `qualities` begin with the lowest; the last one is taken as it is. If the first try is good
    enough but too large, lower qualities are tried.
    """
    at = start
    made = qualities[at].code(pixels)
    found = decibels_of(made, pixels, coding)
    if found >= LEAST_DECIBELS:
        return _lower_quality(made, pixels, coding, qualities[:at], most_bytes)
    gain = STEP_DECIBELS
    while found < LEAST_DECIBELS and at + 1 < len(qualities):
        before, sampling = found, qualities[at].sampling
        at = min(at + 1 + int((LEAST_DECIBELS - found) / STEP_DECIBELS), len(qualities) - 1)
        if gain < LEAST_GAIN:
            others = (n for n, quality in enumerate(qualities) if quality.sampling != sampling)
            at = max(at, next(others, at))
        made = qualities[at].code(pixels)
        found = decibels_of(made, pixels, coding)
        gain = found - before
    return made


def _lower_quality(
    made: bytes, pixels: Pixels, coding: Coding, coarser: list[Quality], most_bytes: float
) -> bytes:
    """Return the pixels at the first lower quality that is small enough, or the last good enough.

    `made` are the pixels coded at the present quality; `coarser` begins with the lowest one.
    """
    for quality in reversed(coarser):
        if len(made) <= most_bytes:
            break
        smaller = quality.code(pixels)
        if decibels_of(smaller, pixels, coding) < LEAST_DECIBELS:
            break
        made = smaller
    return made


def decibels_of(made: bytes, pixels: Pixels, coding: Coding) -> float:
    """Return the PSNR of the decoded result: of its colours or its alpha, whichever is lower."""
    height, width, channels = pixels.shape
    decoded, _ = decode(made, coding.kind, Header(width, height, coding.bits, channels))
    colours = 1 if channels < 3 else 3
    if decoded.shape[2] < colours or (channels > colours and decoded.shape[2] != channels):
        raise Malformed(f"{coding.kind} gave back {decoded.shape[2]} channels of {channels}")
    found = decibels(decoded[..., :colours], pixels[..., :colours], coding.top)
    if channels > colours:
        found = min(found, decibels(decoded[..., -1:], pixels[..., -1:], coding.top))
    return found


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


_SCALES = (2.8, 2.0, 1.41, 1.0, 0.71, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.063, 0.044)
"""Scales of the quantisation tables, in steps of 3 dB."""


def _jpeg_qualities(coding: Coding) -> tuple[list[Quality], int]:
    steps = [(scale, coding.sampling) for scale in _SCALES]
    if coding.sampling != "4:4:4" and not coding.grey:
        steps += [(scale, "4:4:4") for scale in _SCALES[4:]]
    steps.append((0.0, "4:4:4"))

    def quality_at(scale: float, sampling: str) -> Quality:
        tables = [[min(255, max(1, round(q * scale))) for q in table] for table in coding.tables]
        options: dict[str, Any] = {"qtables": tables[:2], "progressive": coding.progressive}
        if not coding.grey:
            options["subsampling"] = sampling
        return Quality(lambda pixels: _save(pixels, "JPEG", optimize=True, **options), sampling)

    return [quality_at(*step) for step in steps], _SCALES.index(1.0)


def _webp_qualities() -> list[Quality]:
    def quality_at(quality: int) -> Quality:
        return Quality(lambda pixels: _save(pixels, "WEBP", quality=quality, exact=True), "4:2:0")

    lossless = Quality(lambda pixels: _save(pixels, "WEBP", lossless=True, exact=True), "4:4:4")
    return [*(quality_at(quality) for quality in (75, 80, 85, 90, 94, 97, 100)), lossless]


def _avif_qualities(coding: Coding, icc: bytes) -> list[Quality]:
    def quality_at(quality: int, sampling: str) -> Quality:
        options = {"quality": quality, "subsampling": sampling, "speed": 8, "xmp": b" "}
        options |= {"icc_profile": icc or None, "exif": _PLACEHOLDER}
        return Quality(lambda pixels: _save(pixels, "AVIF", **options), sampling)

    sampling = "4:0:0" if coding.grey else coding.sampling
    finer = "4:0:0" if coding.grey else "4:4:4"
    steps = [(quality, sampling) for quality in (60, 68, 75, 80, 85, 90, 94, 97)]
    steps += [(quality, finer) for quality in (90, 95, 98, 100)]
    return [quality_at(*step) for step in steps]


def _heic_qualities(coding: Coding, icc: bytes) -> list[Quality]:
    import pillow_heif

    depth = "" if coding.bits == 8 else f";{coding.bits}"

    def quality_at(quality: int, sampling: str) -> Quality:
        def code(pixels: Pixels) -> bytes:
            height, width, channels = pixels.shape
            made = io.BytesIO()
            options: dict[str, Any] = {"bit_depth": coding.bits, "quality": quality}
            options |= {"exif": exif.PREFIX + _PLACEHOLDER, "xmp": b" "}
            options["enc_params"] = {"preset": "fast"}  # a third of the time, 4 % more bytes
            if channels > 1:
                options["subsampling"] = sampling
            if icc:
                options["icc_profile"] = icc
            elif coding.colours:
                options["nclx_profile"] = coding.colours
            mode = MODES[channels] + depth
            data = np.ascontiguousarray(pixels).data
            pillow_heif.encode(mode, (width, height), bytes(data), made, **options)
            return made.getvalue()

        return Quality(code, sampling)

    steps = [(quality, coding.sampling) for quality in (60, 68, 76, 84, 90, 95)]
    finer = ((quality, "4:4:4") for quality in (84, 92, 100, -1))
    return [quality_at(*step) for step in (*steps, *finer)]
