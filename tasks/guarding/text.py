"""What became of the strokes of text: nowhere else in a photo is a changed detail as bad.

Each line of text is compared by itself, relative to its own contrast.
"""

import cv2
import numpy as np

from tasks.guarding.blocks import INVISIBLE, band, widened
from tasks.imaging.light import Plane


def strokes_changed(text: Plane, before: Plane, after: Plane) -> Plane:
    """Return for each block how much the strokes of its line of text changed, 0 to 2.

    That is 1 less the correlation of their brightness before and after, or the share of their energy
    that is lost, whichever is larger. `text` is 1 on text, shape (H, W).
    """
    count, lines, boxes, _ = cv2.connectedComponentsWithStats((text >= 0.5).astype(np.uint8))
    changed = np.zeros_like(before)
    for line in range(1, count):
        left, top, width, height = boxes[line][:4]
        box = slice(top, top + height), slice(left, left + width)
        changed[box][lines[box] == line] = _changed(before[box], after[box])
    return widened(changed)


def _changed(before: Plane, after: Plane) -> float:
    old, new = (band(np.ascontiguousarray(line)) for line in (before, after))
    energy, left = (float((each * each).mean()) for each in (old, new))
    if energy < INVISIBLE**2:
        return 0.0
    alike = float((old * new).mean()) / float(np.sqrt(energy * max(left, 1e-9)))
    return max(1 - alike, 1 - left / energy)
