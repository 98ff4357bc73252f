"""Convert arrays of integers, as in files, to float images and back; EXIF orientation."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from storage.formats.containers import isobmff
from storage.formats.decode import Coding, Pixels
from storage.formats.turn import FLIPPED, MIRRORED, TRANSPOSED

_BAND_ROWS = 256

Values = NDArray[Any]
"""An array of any type, which turning does not change."""


def upright(pixels: Values, orientation: int) -> Values:
    """Return (H, W, C) turned upright by an EXIF orientation, without copying."""
    if orientation in TRANSPOSED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in MIRRORED:
        pixels = pixels[:, ::-1]
    if orientation in FLIPPED:
        pixels = pixels[::-1]
    return pixels


def turned(pixels: Values, before: int, now: int) -> Values:
    """Return (H, W, C), turned upright by one orientation, turned upright by another."""
    back = {6: 8, 8: 6}.get(before, before)
    return upright(upright(pixels, back), now)


def of_container(file: BinaryIO) -> int:
    """Return rotation and mirror of the container of a HEIC or AVIF as an EXIF orientation."""
    found = isobmff.read(file)
    turns, mirrors = found.of_primary("irot"), found.of_primary("imir")
    quarters = turns[0][0] & 3 if turns and turns[0] else 0
    straight = {0: 1, 1: 8, 2: 3, 3: 6}[quarters]
    if not mirrors or not mirrors[0]:
        return straight
    left_right = bool(mirrors[0][0] & 1)
    return {0: (4, 2), 1: (5, 7), 2: (2, 4), 3: (7, 5)}[quarters][left_right]


def fitted(alpha: Pixels, height: int, width: int) -> Pixels:
    """Return an alpha channel (H, W, 1), resized if it has another size."""
    if alpha.shape[:2] == (height, width):
        return alpha
    plane = Pillow.fromarray(alpha[..., 0].astype(np.float32))
    resized = np.asarray(plane.resize((width, height), Pillow.Resampling.BICUBIC))
    made: Pixels = np.clip(np.rint(resized), 0, np.iinfo(alpha.dtype).max).astype(alpha.dtype)
    return made[..., None]


def to_image(pixels: Pixels, top: int) -> NDArray[np.float32]:
    """Convert integers (H, W, C) up to `top` to a new image: RGB in [0, 1]."""
    height, width, channels = pixels.shape
    image = np.empty((height, width, 3), np.float32)
    colours = pixels[..., :1] if channels < 3 else pixels[..., :3]
    np.divide(colours, np.float32(top), out=image, dtype=np.float32)
    return image


def to_pixels(image: NDArray[np.float32], alpha: Pixels | None, coding: Coding) -> Pixels:
    """Convert an image to integers, grey if the source was grey, with its alpha channel."""
    height, width = image.shape[:2]
    kind = np.uint8 if coding.bits == 8 else np.uint16
    colours = 1 if coding.grey else 3
    made = np.empty((height, width, colours + (alpha is not None)), kind)
    for at in range(0, height, _BAND_ROWS):
        band = image[at : at + _BAND_ROWS]
        if coding.grey:
            band = band.mean(axis=2, keepdims=True)
        band = band * np.float32(coding.top)
        np.rint(band, out=band)
        np.clip(band, 0, coding.top, out=band)
        made[at : at + _BAND_ROWS, :, :colours] = band
    if alpha is not None:
        made[..., colours:] = fitted(alpha, height, width)
    return made
