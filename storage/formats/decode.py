"""Decode coded images to arrays of uint8 or uint16, not turned by their orientation."""

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import JpegImagePlugin

from storage.formats import jpeg_in_tiff
from storage.formats.containers import Malformed, damaged_exif, isobmff, jpeg, png, tiff, webp
from storage.formats.containers.tiff import Tiff
from storage.formats.detect import Format
from storage.formats.headers import Header

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, C): grey, grey and alpha, RGB, or RGB and alpha."""

_PLUGINS = {
    Format.JPEG: ("JPEG", "MPO"), Format.PNG: ("PNG",), Format.TIFF: ("TIFF",),
    Format.WEBP: ("WEBP",), Format.AVIF: ("AVIF",),
}  # fmt: skip
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

# Natural order, ITU T.81 annex K.1.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_SAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


@dataclass(frozen=True)
class Coding:
    """How an image is coded, so that its copy is coded alike."""

    kind: Format
    bits: int = 8
    grey: bool = False
    lossless: bool = True
    tables: tuple[tuple[int, ...], ...] = ()
    """Quantisation tables of a JPEG, also of one in a TIFF, in natural order."""
    sampling: str = "4:2:0"
    progressive: bool = False
    colours: Mapping[str, int | float] | None = None
    """Colour codes of a HEIC (nclx)."""
    order: str = "<"
    """Byte order of a TIFF and its tags."""

    @property
    def top(self) -> int:
        """Largest value of a channel: 255 or 65,535."""
        return (1 << self.bits) - 1


@contextmanager
def any_size() -> Iterator[None]:
    """Open images without Pillow's own size limit and warnings; `Limits` are checked before."""
    limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Pillow.MAX_IMAGE_PIXELS = limit


def decode(data: bytes, kind: Format, header: Header) -> tuple[Pixels, Coding]:
    """Decode a whole file.

    Raises:
        Malformed: it breaks off.
        Exception: whatever the decoders raise for broken bytes.

    """
    _check_end(data, kind)
    data = _bare(data, kind)
    try:
        return _decode(data, kind, header)
    except (OSError, SyntaxError, TypeError, LookupError, ValueError, struct.error):
        if kind is not Format.TIFF:
            raise
        # Decoders may refuse a file for a tag that has nothing to do with the pixels.
        mended, lost = damaged_exif.repaired(data)
        if not lost or _structure(mended) != _structure(data):
            raise
        return _decode(mended, kind, header)


def _structure(data: bytes) -> frozenset[int]:
    """Return which tags of a TIFF's first page describe its pixels."""
    file = Tiff(io.BytesIO(data))
    return tiff.STRUCTURE & file.directory(file.first).entries.keys()


def _decode(data: bytes, kind: Format, header: Header) -> tuple[Pixels, Coding]:
    with any_size():
        if kind is Format.HEIC:
            return _decode_heic(data, header)
        if header.bits == 16:
            pixels: Pixels = _decode_16(data, header.channels)
            return pixels, Coding(kind, 16, grey=header.channels < 3, order=_order(data))
        with Pillow.open(io.BytesIO(data), formats=_PLUGINS[kind]) as file:
            if isinstance(file, JpegImagePlugin.JpegImageFile):
                coding = _jpeg_coding(file)
            else:
                coding = _other_coding(data, kind, file.mode)
            if file.size != (header.width, header.height):
                raise Malformed("it has other pixels than its header says")
            if file.mode == "La":
                return _straight(np.asarray(file), 255), coding
            if file.mode not in MODES.values():
                raise Malformed(f"pixels of the kind {file.mode} are not handled")
            pixels = np.asarray(file)
            return pixels if pixels.ndim == 3 else pixels[..., None], coding


def _straight(pixels: Pixels, top: int) -> Pixels:
    """Return pixels whose colours are not multiplied by their alpha."""
    alpha = np.maximum(pixels[..., -1:], 1).astype(np.float32)
    made = pixels.copy()
    made[..., :-1] = np.clip(np.rint(pixels[..., :-1] * (top / alpha)), 0, top)
    return made


def _decode_16(data: bytes, channels: int) -> NDArray[np.uint16]:
    """Decode a PNG or an unturned TIFF of 16 bits into (H, W, channels)."""
    import cv2  # only where there is such a photo

    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Malformed(str(error)) from error
    if found is None or found.dtype != np.uint16:
        raise Malformed("OpenCV cannot decode it")
    if found.ndim == 2:
        return found[..., None].astype(np.uint16, copy=False)
    order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    if max(order) >= found.shape[2]:
        raise Malformed("it has fewer channels than it says")
    return found[..., order].astype(np.uint16, copy=False)


def _bare(data: bytes, kind: Format) -> bytes:
    """Return a file without what would stop or mislead a decoder, and is not needed to decode it.

    Pillow refuses a PNG with a wrong checksum in a text, and joins the pieces of a JPEG's EXIF one by one.
    """
    match kind:
        case Format.JPEG:
            file = io.BytesIO(data)
            return jpeg.splice(file, [part for part in jpeg.metadata(file) if jpeg.is_jfif(*part)])
        case Format.PNG:
            return png.splice(io.BytesIO(data), ())
        case Format.TIFF:
            return _unturned(data)
        case _:
            return data


def _unturned(data: bytes) -> bytes:
    """Return a TIFF that states no turn in its tags or XMP, because decoders would turn the image."""
    file = Tiff(io.BytesIO(data))
    first = file.directory(file.first)
    if not {tiff.XMP, tiff.ORIENTATION} & first.entries.keys():
        return data
    made = bytearray(data)
    tiff.set_upright(made, file, first)
    tiff.blank(made, file, first, tiff.XMP)
    return bytes(made)


def _check_end(data: bytes, kind: Format) -> None:
    """Raise for a truncated file, even if a decoder would fill the rest with grey."""
    file = io.BytesIO(data)
    whole = True
    match kind:
        case Format.JPEG:
            whole = jpeg.coded_end(file) is not None
        case Format.PNG:
            whole = png.is_whole(file)
        case Format.WEBP | Format.HEIC | Format.AVIF:
            whole = any(data[-4096:])
    if not whole:
        raise Malformed("it breaks off before its end")


def _tiff_coding(data: bytes, *, grey: bool) -> Coding:
    coding = Coding(Format.TIFF, grey=grey, order=_order(data))
    if not (stream := jpeg_in_tiff.stream(data)):
        return coding
    with Pillow.open(io.BytesIO(stream), formats=("JPEG",)) as file:
        assert isinstance(file, JpegImagePlugin.JpegImageFile)
        tables, sampling = _jpeg_coding(file).tables, _jpeg_coding(file).sampling
    return replace(coding, lossless=False, tables=tables, sampling=sampling)


def _jpeg_coding(file: JpegImagePlugin.JpegImageFile) -> Coding:
    sampling = JpegImagePlugin.get_sampling(file)
    tables = tuple(tuple(table) for _, table in sorted(file.quantization.items()))
    return Coding(
        Format.JPEG,
        grey=file.mode == "L",
        lossless=False,
        tables=tables,
        sampling=_SAMPLINGS.get(sampling, "4:4:4"),
        progressive=bool(file.info.get("progressive")),
    )


def _other_coding(data: bytes, kind: Format, mode: str) -> Coding:
    grey = mode in ("L", "LA", "La")
    if kind is Format.WEBP:
        return Coding(kind, lossless=webp.header(io.BytesIO(data)).lossless)
    if kind is Format.AVIF:
        return Coding(kind, grey=grey, lossless=False, sampling=_avif_sampling(data))
    return _tiff_coding(data, grey=grey) if kind is Format.TIFF else Coding(kind, grey=grey)


def _order(data: bytes) -> str:
    return ">" if data[:2] == b"MM" else "<"


def _avif_sampling(data: bytes) -> str:
    found = isobmff.read(io.BytesIO(data))
    flags = next((data[2] for kind, data in found.properties if kind == "av1C"), 0x0C)
    return {0x0C: "4:2:0", 0x08: "4:2:2"}.get(flags & 0x0C, "4:4:4")


def _decode_heic(data: bytes, header: Header) -> tuple[Pixels, Coding]:
    import pillow_heif  # only where there is a HEIC: it takes a while to load

    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    told: Any = image.info  # a dictionary of all kinds
    if image.size != (header.width, header.height):
        raise Malformed("it has other pixels than its header says")
    mode = image.mode.partition(";")[0]
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "RGBa": 4}.get(mode)
    if channels is None:
        raise Malformed(f"pixels of the kind {image.mode} are not handled")
    pixels = np.asarray(image)
    width, height = image.size
    pixels = pixels.reshape(pixels.shape[0], -1, channels)[:height, :width]
    chroma = {422: "4:2:2", 444: "4:4:4"}.get(told.get("chroma", 420), "4:2:0")
    bits = int(told["bit_depth"])
    if mode == "RGBa":
        pixels = _straight(pixels, (1 << bits) - 1)
    return pixels, Coding(
        Format.HEIC, bits, grey=channels == 1, lossless=False, sampling=chroma,
        colours=told.get("nclx_profile"),
    )  # fmt: skip


def jpeg_quality(tables: tuple[tuple[int, ...], ...]) -> int | None:
    """Return the quality (1 to 100) with the most similar luminance table; None without tables."""
    if not tables:
        return None
    seen, standard = np.array(tables[0]), np.array(_LUMINANCE)
    if seen.shape != standard.shape:
        return None

    def distance(quality: int) -> float:
        scale = 5000 / quality if quality < 50 else 200 - 2 * quality
        made = np.clip((standard * scale + 50) // 100, 1, 255)
        return float(np.abs(made - seen).sum())

    return min(range(1, 101), key=distance)
