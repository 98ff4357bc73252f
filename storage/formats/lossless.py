"""Images of 16 bits a channel, which Pillow would read as 8, and TIFFs of either depth.

The PNG and TIFF written here are lossless: deflated after a prediction from the neighbour.
"""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from storage.formats.containers import Malformed, png, tiff
from storage.formats.containers.tiff import LONG, SHORT, Tiff, Tree

_STRIP_BYTES = 1 << 18
_COMPRESSION_LEVEL = 6
_ADOBE_DEFLATE, _HORIZONTAL = 8, 2
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def decode(data: bytes, channels: int) -> NDArray[np.uint16]:
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


def unturned(data: bytes) -> bytes:
    """Set a TIFF's orientation to 1, because decoders would turn the image by it."""
    file = Tiff(io.BytesIO(data))
    entry = file.directory(file.first).entries.get(tiff.ORIENTATION)
    if entry is None or entry.kind != SHORT or entry.count != 1:
        return data
    made = bytearray(data)
    struct.pack_into(file.order + "H", made, entry.offset, 1)
    return bytes(made)


def encode_png(pixels: Pixels) -> bytes:
    """Code (H, W, C) of 16 bits as PNG, each row with the filter that leaves least."""
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOURS[channels], 0, 0, 0)
    worker = zlib.compressobj(_COMPRESSION_LEVEL)
    step = 2 * channels
    before = np.zeros(width * step, np.uint8)
    packed: list[bytes] = []
    for row in pixels:
        raw = np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
        packed.append(worker.compress(_filtered(raw, before, step)))
        before = raw
    packed.append(worker.flush())
    parts = (
        png.build(b"IHDR", head),
        png.build(b"IDAT", b"".join(packed)),
        png.build(b"IEND", b""),
    )
    return png.SIGNATURE + b"".join(parts)


def _filtered(raw: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> bytes:
    """Predict a row from the left, from above or by Paeth's rule, and keep the smallest rest."""
    left, corner = np.zeros_like(raw), np.zeros_like(raw)
    left[step:], corner[step:] = raw[:-step], above[:-step]
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, above, corner))
    rests = {1: raw - left, 2: raw - above, 4: raw - paeth}
    number = min(
        rests, key=lambda key: int(np.abs(rests[key].view(np.int8).astype(np.int16)).sum())
    )
    filtered: bytes = rests[number].tobytes()
    return bytes((number,)) + filtered


def encode_tiff(pixels: Pixels, order: str = "<") -> bytes:
    """Code (H, W, C) of 8 or 16 bits as a TIFF in deflated strips, in a byte order."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    rows = max(1, _STRIP_BYTES // (width * channels * bits // 8))
    colours = 1 if channels < 3 else 2
    shorts = {
        tiff.BITS: [bits] * channels,
        tiff.COMPRESSION: [_ADOBE_DEFLATE],
        tiff.PHOTOMETRIC: [colours],
        tiff.SAMPLES: [channels],
        tiff.PLANAR: [1],
        tiff.PREDICTOR: [_HORIZONTAL],
        tiff.SAMPLE_FORMAT: [1] * channels,
    }
    if channels in (2, 4):
        shorts[tiff.EXTRA] = [2]
    root = Tree({
        tag: (SHORT, len(values), struct.pack(f"{order}{len(values)}H", *values))
        for tag, values in shorts.items()
    })  # fmt: skip
    for tag, value in ((tiff.WIDTH, width), (tiff.HEIGHT, height), (tiff.ROWS, rows)):
        root.values[tag] = (LONG, 1, struct.pack(order + "I", value))
    strips = [_strip(pixels[at : at + rows], order) for at in range(0, height, rows)]
    return tiff.serialise(root, order, strips)


def _strip(pixels: Pixels, order: str) -> bytes:
    rest = pixels.copy()
    rest[:, 1:] -= pixels[:, :-1]
    return zlib.compress(
        rest.astype(f"{order}u{rest.dtype.itemsize}").tobytes(), _COMPRESSION_LEVEL
    )
