"""Write PNG of 16 bits and TIFF of 8 or 16 bits a channel, which Pillow cannot."""

import struct
import zlib

from storage.formats.containers import tiff
from storage.formats.containers.tiff import LONG, SHORT, Tree
from storage.formats.decode import Pixels

_STRIP_BYTES = 1 << 18
_COMPRESSION_LEVEL = 6
_ADOBE_DEFLATE, _HORIZONTAL = 8, 2


def encode_png(pixels: Pixels) -> bytes:
    """Encode (H, W, C) of 16 bits as PNG; grey with alpha becomes RGB with alpha.

    OpenCV writes no grey with alpha, and Pillow no 16 bits.
    """
    import cv2  # only where there is such a photo

    order = {1: [0], 2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    options = (cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION_LEVEL)
    written, coded = cv2.imencode(".png", pixels[..., order], options)
    if not written:
        raise OSError(f"OpenCV cannot code a PNG of {pixels.shape} values of 16 bits")
    return coded.tobytes()


def encode_tiff(pixels: Pixels, order: str = "<") -> bytes:
    """Encode (H, W, C) of 8 or 16 bits as a TIFF with deflated strips, in a byte order."""
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
