"""The blocks of a JPEG file, and the cosine transform in which it rounds them."""

import numpy as np

from tasks.imaging.light import Plane

BLOCK = 8
"""Pixels of a block's side."""


def _cosines() -> Plane:
    k, n = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


COSINES = _cosines()
"""The orthonormal transform of eight values, one row for each frequency."""
