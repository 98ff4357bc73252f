"""What became of faces: a person must stay the same one.

OpenCV's cascade of Haar features finds frontal faces (Viola and Jones, "Rapid object detection using
a boosted cascade of simple features", 2001); its file comes with OpenCV.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from tasks.guarding.blocks import widened
from tasks.imaging.light import Plane

MAX_SIDE = 1000
"""Longer side in pixels of the copy that is searched."""
MIN_FACE, MIN_NEIGHBOURS = 40, 7
"""Smallest side in pixels of a face in that copy, and the hits that make a face."""
FEATURE_SHARE = 1 / 24
"""Blur before features are compared, a standard deviation, as a share of a face's width: it removes
noise and keeps eyes, nose and mouth."""
MIN_CONTRAST = 2 / 255
"""Smallest deviation of the features of a face that can be compared."""
Box = tuple[slice, slice]
"""Rows and columns."""

_one_at_a_time = Lock()
"""The cascade keeps the image that it searches, and crops are judged in several threads."""


def faces_changed(before: Plane, after: Plane) -> Plane:
    """Return for each block how unlike the features of its face became, 0 to 2.

    That is 1 less their correlation before and after, 0 without a face. Both are the brightness,
    shape (H, W).
    """
    changed = np.zeros_like(before)
    for box in find_faces(before):
        changed[box] = np.maximum(changed[box], _unlike(before[box], after[box]))
    return widened(changed)


def find_faces(brightness: Plane) -> Sequence[Box]:
    """Return the places of frontal faces in an image's brightness, (H, W) in [0, 1]."""
    scale = min(1.0, MAX_SIDE / max(brightness.shape))
    size = tuple(max(1, round(scale * side)) for side in brightness.shape[::-1])
    small = cv2.resize(brightness, size, interpolation=cv2.INTER_AREA)
    pixels = np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8)
    with _one_at_a_time:
        found = _cascade().detectMultiScale(
            pixels, 1.15, MIN_NEIGHBOURS, minSize=(MIN_FACE, MIN_FACE)
        )
    return [
        (_scaled(top, height, scale), _scaled(left, width, scale))
        for left, top, width, height in found
    ]


def _scaled(first: int, length: int, scale: float) -> slice:
    return slice(int(first / scale), int((first + length) / scale))


def _unlike(before: Plane, after: Plane) -> float:
    sigma = FEATURE_SHARE * before.shape[1]
    features = []
    for face in (before, after):
        blurred = cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        features.append(blurred - blurred.mean())
    if features[0].std() < MIN_CONTRAST:
        return 0.0
    product = float((features[0] * features[1]).mean())
    return 1 - product / float(features[0].std() * max(float(features[1].std()), 1e-6))


@cache
def _cascade() -> cv2.CascadeClassifier:
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
