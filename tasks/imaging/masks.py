"""Widen masks and let them fade."""

import cv2
import numpy as np

from tasks.imaging.light import Plane

DILATION_PIXELS = 9
"""Pixels by which a detector's mask ought to be widened: what is hidden ends softly, and whatever
shines through the fading border of a mask must lie outside of it."""
FEATHER = 4
"""Pixels over which a mask fades on each side of its border, where it is 0.5."""


def dilated(mask: Plane, pixels: int = DILATION_PIXELS) -> Plane:
    """Widen a mask by some pixels."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * (2 * pixels + 1,))
    return np.asarray(cv2.dilate(mask, ellipse), np.float32)


def feathered(mask: Plane) -> Plane:
    """Let a mask of 0 and 1 fade at its border."""
    return np.asarray(cv2.blur(mask, 2 * (2 * FEATHER + 1,)), np.float32)
