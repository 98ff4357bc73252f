"""Restore an image tile by tile, keep its low frequencies, or shrink it; all bound the memory."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging import parallel

TILE_PIXELS = 512
"""Side of a tile in pixels, without its overlap."""


def by_tiles(
    image: Image,
    restore: Callable[[Image], Image],
    overlap: int,
    size: tuple[int, int] = (TILE_PIXELS, TILE_PIXELS),
) -> Image:
    """Restore an image in tiles of `size`, rows and columns of pixels, several at once.

    `restore` gets a tile with `overlap` more pixels on each side, mirrored at the image's border;
    its receptive field must not be larger. It returns an image of the same size.
    """
    height, width = image.shape[:2]
    result = np.empty_like(image)

    def fill(corner: tuple[int, int]) -> None:
        rows, columns = (
            slice(first, min(first + side, end))
            for first, side, end in zip(corner, size, (height, width), strict=True)
        )
        restored = restore(_tile(image, rows, columns, overlap))
        high, wide = restored.shape[:2]
        result[rows, columns] = restored[overlap : high - overlap, overlap : wide - overlap]

    parallel.each(fill, product(range(0, height, size[0]), range(0, width, size[1])))
    return result


def _tile(image: Image, rows: slice, columns: slice, overlap: int) -> Image:
    """Return a part of an image with `overlap` pixels around it, mirrored at the image's border."""
    height, width = image.shape[:2]
    top, bottom, left, right = (
        rows.start - overlap, rows.stop + overlap, columns.start - overlap, columns.stop + overlap,
    )  # fmt: skip
    inside = image[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    padded = cv2.copyMakeBorder(
        np.asarray(inside, np.float32), max(0, -top), max(0, bottom - height), max(0, -left),
        max(0, right - width), cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.asarray(padded, np.float32)


def with_low_frequencies_of(original: Image, restored: Image, sigma: float) -> Image:
    """Return the restored image with the original's colours above `sigma` pixels, in [0, 1]."""
    height, width = original.shape[:2]
    factor = max(1, int(sigma / 4))  # a blur by so much is made on a shrunken copy
    size = (max(1, width // factor), max(1, height // factor))
    old, new = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (original, restored)
    )
    drift = cv2.GaussianBlur(old - new, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT)
    wide: Image = np.asarray(
        cv2.resize(drift, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )
    wide += restored
    return np.clip(wide, 0, 1, out=wide)


def shrunk(image: Image, longest: int) -> Image:
    """Return an image whose longer side has at most `longest` pixels; the same image if it fits."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
