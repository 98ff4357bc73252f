"""Keep memory flat: shrink an image, or restore it tile by tile and keep its low frequencies."""

from collections.abc import Callable

import cv2
import numpy as np

from storage.photos import Image

TILE_PIXELS = 512
"""The side of a tile without its overlap."""


def by_tiles(
    image: Image, restore: Callable[[Image], Image], overlap: int, side: int = TILE_PIXELS
) -> Image:
    """Restore tiles of `side` pixels that also see `overlap` pixels of their neighbours, and lay them side by side.

    `restore` must not look further than `overlap`. At the image's border a tile sees its mirror.
    """
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, overlap, overlap, overlap, overlap, cv2.BORDER_REFLECT)
    padded = np.asarray(padded, np.float32)
    result = np.empty_like(image)
    for top in range(0, height, side):
        for left in range(0, width, side):
            rows = min(side, height - top)
            columns = min(side, width - left)
            window = padded[top : top + rows + 2 * overlap, left : left + columns + 2 * overlap]
            restored = restore(np.asarray(window, np.float32))[
                overlap : overlap + rows, overlap : overlap + columns
            ]
            result[top : top + rows, left : left + columns] = restored
    return result


def with_low_frequencies_of(original: Image, restored: Image, sigma: float) -> Image:
    """Give the restored image the original's colours on scales above `sigma` pixels, in [0, 1]."""
    drift = _blurred(original - restored, sigma)
    return np.clip(restored + drift, 0, 1)


def _blurred(image: Image, sigma: float) -> Image:
    """Blur widely at the cost of a shrunken copy."""
    height, width = image.shape[:2]
    factor = max(1, int(sigma / 4))
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def shrunk(image: Image, longest: int) -> Image:
    """Give an image whose longer side has no more than `longest` pixels; the same if it fits."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
