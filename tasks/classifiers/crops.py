"""Look at a photo through crops of its native size: shrinking would hide what is measured."""

from collections.abc import Iterator

import numpy as np

from tasks.light import Plane


def crops(plane: Plane, side: int, most: int) -> Iterator[Plane]:
    """Give up to `most` crops of `side` pixels square, spread evenly, half overlapping at most.

    They begin at multiples of 8 pixels, as the blocks of a JPEG file do. A plane that is smaller
    than `side` has none.
    """
    height, width = plane.shape
    if min(height, width) < side:
        return
    rows, columns = _grid(2 * (height - side) // side + 1, 2 * (width - side) // side + 1, most)
    for top in np.linspace(0, height - side, rows).astype(int) // 8 * 8:
        for left in np.linspace(0, width - side, columns).astype(int) // 8 * 8:
            yield plane[top : top + side, left : left + side]


def _grid(rows: int, columns: int, most: int) -> tuple[int, int]:
    """Thin a grid out until it has `most` cells, keeping its shape."""
    thinning = max(1.0, float(np.sqrt(rows * columns / most)))
    fewer_rows = max(1, min(int(rows / thinning), most))
    return fewer_rows, max(1, min(columns, most // fewer_rows))
