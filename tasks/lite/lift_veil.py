"""Subtract the light that a pane adds to a photo, as the net against reflections estimates it.

Most reflections are out of focus, so a smooth light is subtracted, and the photo's detail is kept.
"""

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import coded, linear
from tasks.imaging.veil_figures import SIDE
from tasks.lite.veil import veil
from tasks.verdict import Verdict

REMOVED_SHARE = 0.49
"""Share of the estimated light that is subtracted: the largest with which none of 52 reflections
becomes worse (`docs/experiments.md`)."""
ROWS = 512
"""Rows of pixels that are processed at once, so that memory does not grow with the photo."""


def lift_veil(image: Image, verdict: Verdict) -> Image:
    """Subtract the added light, in proportion to the net's severity; no pixel becomes brighter."""
    found = veil(image)
    share = np.float32(REMOVED_SHARE * found.severity)
    light = cv2.resize(share * found.light, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    height, width = image.shape[:2]
    wide = cv2.resize(light, (width, SIDE), interpolation=cv2.INTER_LINEAR)
    result = np.empty_like(image)
    for top in range(0, height, ROWS):
        rows = image[top : top + ROWS]
        position = (np.arange(top, top + len(rows), dtype=np.float32) + 0.5) * SIDE / height - 0.5
        upper = np.clip(position, 0, SIDE - 2).astype(int)
        weight = np.clip(position - upper, 0, 1)[:, None, None]
        added = wide[upper] + weight * (wide[upper + 1] - wide[upper])
        lifted = coded(linear(rows) - np.maximum(added, 0))
        result[top : top + ROWS] = np.minimum(rows, lifted)
    return result
