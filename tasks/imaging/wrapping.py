"""Wrapped borders of a full panorama, whose left and right edges show the same place."""

import numpy as np

from storage.photos import Image

_PIXELS = 128
"""Width of each border: more than the networks see around a pixel; whole blocks of a JPEG."""
_BLOCK_PIXELS = 16


def border(image: Image) -> int:
    """Return the width in pixels of each wrapped border of an image; 0 if it is too narrow."""
    width: int = image.shape[1] // 2 // _BLOCK_PIXELS * _BLOCK_PIXELS
    return min(_PIXELS, width)


def wrapped(image: Image) -> Image:
    """Return an image (H, W, 3) with its own right border before its left one, and so after it."""
    width = border(image)
    return np.pad(image, ((0, 0), (width, width), (0, 0)), mode="wrap")


def unwrapped(image: Image, width: int) -> Image:
    """Return an image without borders of this width in pixels."""
    return np.ascontiguousarray(image[:, width : image.shape[1] - width])
