"""Overshoot: halos beside edges, values that nothing nearby had in the photo.

Bounding a sharpened pixel by the values of its neighbourhood: Schavemaker et al., "Image sharpening
by morphological filtering", 2000.
"""

from functools import partial

import cv2
import numpy as np

from tasks.guarding.blocks import Maps, by_strips
from tasks.imaging.light import Plane

TOLERANCE = 1 / 255
"""Distance beyond the smallest and largest value nearby that does not count."""


def overshoot(before: Plane, after: Plane, reach: int) -> Plane:
    """Return for each block the deviation beyond the values within `reach` pixels, of 255."""
    (energy,) = by_strips(partial(_beyond, reach), before, after)
    return np.asarray(255 * np.sqrt(energy), np.float32)


def _beyond(reach: int, before: Plane, after: Plane) -> Maps:
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    above, below = after - cv2.dilate(before, square), cv2.erode(before, square) - after
    beyond = np.maximum(np.maximum(above, below) - np.float32(TOLERANCE), 0)
    return (beyond * beyond,)
