"""The block size and the cosine transform of JPEG."""

import numpy as np

from tasks.imaging.light import Plane

BLOCK = 8
"""Side of a block in pixels."""


def _cosines() -> Plane:
    k, n = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


COSINES = _cosines()
"""The orthonormal cosine transform of eight values, (8, 8), one row for each frequency."""
