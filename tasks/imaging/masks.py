"""Dilate masks and feather their borders."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.light import Plane

BoolMask = NDArray[np.bool_]
"""(H, W), True on what is to change."""
DILATION_PIXELS = 9
"""Pixels by which a detector's mask is dilated, so that its feathered border lies outside the
reflection."""
FEATHER = 4
"""Pixels on each side of its border over which a mask fades."""


def dilated(mask: Plane, pixels: int = DILATION_PIXELS) -> Plane:
    """Widen a mask by `pixels` in every direction."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * (2 * pixels + 1,))
    return np.asarray(cv2.dilate(mask, ellipse), np.float32)


def feathered(mask: Plane) -> Plane:
    """Return a mask of 0 and 1 with a faded border."""
    return np.asarray(cv2.blur(mask, 2 * (2 * FEATHER + 1,)), np.float32)
