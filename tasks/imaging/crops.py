"""Cut crops out of a photo at its native resolution: shrinking it would hide noise and blur."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane


def crops(plane: Plane, side: int, limit: int) -> Iterator[Plane]:
    """Yield up to `limit` crops of `side` by `side` pixels, at the places of `corners`."""
    for top, left in corners(plane.shape[0], plane.shape[1], side, limit):
        yield plane[top : top + side, left : left + side]


def corners(height: int, width: int, side: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield top and left of up to `limit` squares, spread evenly, that overlap by at most half.

    Both are multiples of 8 pixels, as the blocks of a JPEG file are. An image smaller than `side`
    has no squares.
    """
    if min(height, width) < side:
        return
    rows, columns = _grid(2 * (height - side) // side + 1, 2 * (width - side) // side + 1, limit)
    for top in np.linspace(0, height - side, rows).astype(int) // 8 * 8:
        for left in np.linspace(0, width - side, columns).astype(int) // 8 * 8:
            yield int(top), int(left)


def changed_cell(before: Image, after: Sequence[Image], side: int) -> tuple[slice, slice]:
    """Return rows and columns of the square in which images differ most from the one before.

    It has `side` pixels a side, or fewer where the images have. All images are RGB, of one shape.
    """
    height, width = before.shape[:2]
    change = np.zeros((height, width), np.float32)
    for each in after:
        change = np.maximum(change, np.abs(each - before).mean(axis=2))
    tall, wide = min(side, height), min(side, width)
    sums = cv2.integral(change)
    tops = np.arange(0, height - tall + 1, max(1, side // 8))
    lefts = np.arange(0, width - wide + 1, max(1, side // 8))
    upper, lower = sums[tops], sums[tops + tall]
    cells = lower[:, lefts + wide] - lower[:, lefts] - upper[:, lefts + wide] + upper[:, lefts]
    row, column = np.unravel_index(int(np.argmax(cells)), cells.shape)
    top, left = int(tops[row]), int(lefts[column])
    return slice(top, top + tall), slice(left, left + wide)


def _grid(rows: int, columns: int, limit: int) -> tuple[int, int]:
    """Return the rows and columns of a grid of at most `limit` cells and a similar shape."""
    thinning = max(1.0, float(np.sqrt(rows * columns / limit)))
    fewer_rows = max(1, min(int(rows / thinning), limit))
    return fewer_rows, max(1, min(columns, limit // fewer_rows))
