"""Look at a photo through crops of its native size: shrinking would hide what is measured."""

from collections.abc import Iterator

import numpy as np

from tasks.imaging.light import Plane


def crops(plane: Plane, side: int, limit: int) -> Iterator[Plane]:
    """Give up to `limit` crops of `side` pixels square, as `corners` lays them."""
    for top, left in corners(plane.shape[0], plane.shape[1], side, limit):
        yield plane[top : top + side, left : left + side]


def corners(height: int, width: int, side: int, limit: int) -> Iterator[tuple[int, int]]:
    """Give top and left of up to `limit` squares, spread evenly, half overlapping at most.

    They begin at multiples of 8 pixels, as the blocks of a JPEG file do. What is smaller than
    `side` has none.
    """
    if min(height, width) < side:
        return
    rows, columns = _grid(2 * (height - side) // side + 1, 2 * (width - side) // side + 1, limit)
    for top in np.linspace(0, height - side, rows).astype(int) // 8 * 8:
        for left in np.linspace(0, width - side, columns).astype(int) // 8 * 8:
            yield int(top), int(left)


def _grid(rows: int, columns: int, limit: int) -> tuple[int, int]:
    """Thin a grid out until it has `limit` cells, keeping its shape."""
    thinning = max(1.0, float(np.sqrt(rows * columns / limit)))
    fewer_rows = max(1, min(int(rows / thinning), limit))
    return fewer_rows, max(1, min(columns, limit // fewer_rows))
