"""Measure planes in blocks of 32 pixels, in strips, so that memory does not grow with the photo."""

from collections.abc import Callable

import cv2
import numpy as np

from tasks.imaging import parallel
from tasks.imaging.light import Plane

BLOCK = 32
"""Side of a block in pixels."""
STRIP = 16
"""Rows of blocks that are measured at once."""
MARGIN = 32
"""Pixels that a measurement sees beyond its strip, mirrored at the border of the photo."""

INVISIBLE = 1.5 / 255
"""Deviation of structure (`band`) that nobody sees."""

Maps = tuple[Plane, ...]


def grid_shape(plane: Plane) -> tuple[int, int]:
    """Return the rows and columns of the blocks of a plane; those at its border may be partial."""
    height, width = plane.shape[:2]
    return -(-height // BLOCK), -(-width // BLOCK)


def by_strips(measure: Callable[..., Maps], *planes: Plane) -> Maps:
    """Apply `measure` to strips of planes, and return the means of the blocks of its results.

    Each strip has `MARGIN` more pixels on each side, and so must the results.
    """
    rows, columns = grid_shape(planes[0])

    def measured(row: int) -> list[Plane]:
        count = min(STRIP, rows - row)
        strips = [_strip(plane, row * BLOCK, count * BLOCK, columns * BLOCK) for plane in planes]
        inner = [result[MARGIN:-MARGIN, MARGIN:-MARGIN] for result in measure(*strips)]
        return [_means(result, (columns, count)) for result in inner]

    parts = parallel.each(measured, range(0, rows, STRIP))
    return tuple(np.concatenate(strips) for strips in zip(*parts, strict=True))


def widened(plane: Plane) -> Plane:
    """Return the mean of each block of a plane whose values reach half a block further."""
    kernel = np.ones((BLOCK + 1, BLOCK + 1), np.uint8)
    (means,) = by_strips(lambda strip: (np.asarray(cv2.dilate(strip, kernel), np.float32),), plane)
    return means


def band(plane: Plane) -> Plane:
    """Return the structure of a plane: what is between about 2 and 20 pixels long."""
    return blurred(plane, 0.8) - blurred(plane, 3)


def blurred(plane: Plane, sigma: float) -> Plane:
    """Return a plane blurred by a Gaussian of `sigma` pixels."""
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, np.float32)


def spread(grid: Plane, shape: tuple[int, ...]) -> Plane:
    """Return a map of blocks interpolated to the pixels of a plane of a shape (H, W, ...)."""
    rows, columns = grid.shape
    whole = cv2.resize(grid, (columns * BLOCK, rows * BLOCK), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[: shape[0], : shape[1]], np.float32)


def _strip(plane: Plane, top: int, height: int, width: int) -> Plane:
    first, last = max(0, top - MARGIN), min(plane.shape[0], top + height + MARGIN)
    padded = cv2.copyMakeBorder(
        plane[first:last], first - top + MARGIN, top + height + MARGIN - last,
        MARGIN, width + MARGIN - plane.shape[1], cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.asarray(padded, np.float32)


def _means(plane: Plane, size: tuple[int, int]) -> Plane:
    means = cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32).reshape(size[::-1])
