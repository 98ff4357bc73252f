"""Run a net over an image of any size, in tiles of one shape that are blended.

For nets whose receptive field exceeds the overlap: two tiles give slightly different results for the
same pixels, so a hard border would be visible.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from storage.photos import Image
from tasks import progress
from tasks.imaging.light import Plane
from tasks.paper import gpu

Place = tuple[int, int]
"""Top and left of a tile in its image, in pixels."""

MIN_SIDE = 256
"""Side in pixels of the smallest tile."""


def by_overlapping_tiles(
    image: Image, restore: Callable[[Image, Place], Image], side: int, overlap: int, scale: int = 1
) -> Image:
    """Restore tiles of `side` pixels that overlap by at least `overlap`.

    `restore` enlarges `scale` times, and so does this function. An image that fits into a tile is
    restored whole. If memory is too small, the side of tiles is halved.

    Raises:
        torch.OutOfMemoryError, RuntimeError: not even the smallest tile fits.

    """
    return gpu.halving(
        lambda side: _blended(image, restore, side, min(overlap, side // 4), scale),
        side, MIN_SIDE, "the side of tiles in pixels",
    )  # fmt: skip


def _blended(
    image: Image, restore: Callable[[Image, Place], Image], side: int, overlap: int, scale: int
) -> Image:
    height, width = image.shape[:2]
    rows, columns = (_starts(length, side, overlap) for length in (height, width))
    if len(rows) == len(columns) == 1:
        return restore(image, (0, 0))
    total = np.zeros((scale * height, scale * width, 3), np.float32)
    weights = np.zeros((scale * height, scale * width, 1), np.float32)
    with progress.of(len(rows) * len(columns)) as count:
        for top, left in product(rows, columns):
            tile = np.ascontiguousarray(image[top : top + side, left : left + side])
            restored = restore(tile, (top, left))
            inside = np.s_[
                scale * top : scale * top + restored.shape[0],
                scale * left : scale * left + restored.shape[1],
            ]
            weight = _weight(restored.shape[:2], scale * overlap)[..., np.newaxis]
            total[inside] += weight * restored
            weights[inside] += weight
            count(1)
    total /= weights  # in place: it may be half a gigabyte
    return total


def _starts(length: int, side: int, overlap: int) -> Sequence[int]:
    """Return the starts of whole tiles, spread evenly over a length."""
    if length <= side:
        return [0]
    number = -(-(length - overlap) // (side - overlap))
    return [int(start) for start in np.linspace(0, length - side, number).round()]


def _weight(shape: tuple[int, int], overlap: int) -> Plane:
    """Return a tile's weights: 1 inside, falling towards its border, nowhere 0."""
    rows, columns = (
        np.minimum(1, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / overlap) for n in shape
    )
    return np.outer(rows, columns).astype(np.float32)
