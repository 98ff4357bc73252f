"""Cut crops out of a photo at its native resolution: shrinking it would hide noise and blur."""

from collections.abc import Iterator

import numpy as np

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


def _grid(rows: int, columns: int, limit: int) -> tuple[int, int]:
    """Return the rows and columns of a grid of at most `limit` cells and a similar shape."""
    thinning = max(1.0, float(np.sqrt(rows * columns / limit)))
    fewer_rows = max(1, min(int(rows / thinning), limit))
    return fewer_rows, max(1, min(columns, limit // fewer_rows))
