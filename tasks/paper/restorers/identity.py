"""Refuse a restored face that became another one, by comparing both after blurring.

Two measures need no weights: around each eye, the nose and each corner of the mouth, the two faces
must correlate, whatever their brightness and contrast; between brows and chin, their colours must be
close. The measurements behind the limits are in `docs/experiments.md`. Changes of fine details, such
as lashes, teeth or wrinkles, are not found. Another photo of the same person is refused.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.light import luma
from tasks.paper.restorers.alignment import SIDE, TEMPLATE, FaceRefused

BLUR, WINDOW = 6.0, 96
"""Standard deviation of the blur, and side of the window around each point, in pixels of an aligned face."""
MIN_LIKENESS = 0.7
"""Smallest correlation in each of the five windows. Measured on 64 aligned faces."""
COLOUR_BLUR = 20.0
"""Standard deviation in pixels of the blur before colours are compared."""
MAX_COLOUR_DIFFERENCE = 0.06
"""Largest root mean square difference of colours between brows and chin. Measured on 64 aligned faces."""
CENTRE, RADII = (256, 300), (110, 130)
"""Centre and radii, x and y, of the ellipse between brows and chin."""


def check(before: Image, after: Image) -> None:
    """Raise if an aligned face, RGB in [0, 1], (512, 512, 3), became another one.

    Raises:
        FaceRefused: its features or its colours differ.

    """
    if likeness(before, after) < MIN_LIKENESS:
        raise FaceRefused("other features")
    if colour_difference(before, after) > MAX_COLOUR_DIFFERENCE:
        raise FaceRefused("other colours")


def likeness(before: Image, after: Image) -> float:
    """Return the smallest correlation of two aligned faces in the five windows, in [-1, 1]."""
    both = [cv2.GaussianBlur(luma(face), (0, 0), BLUR) for face in (before, after)]
    return min(
        _correlation(*(face[_around(x, y)].astype(np.float64) for face in both))
        for x, y in TEMPLATE.astype(int)
    )


def colour_difference(before: Image, after: Image) -> float:
    """Return the root mean square difference of the colours of two aligned faces, in [0, 1]."""
    difference = cv2.GaussianBlur(before - after, (0, 0), COLOUR_BLUR)
    return math.sqrt(float(np.square(difference[_inside()]).mean()))


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = math.sqrt(float((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / size if size else 0.0


def _around(x: int, y: int) -> tuple[slice, slice]:
    half = WINDOW // 2
    return slice(y - half, y + half), slice(x - half, x + half)


def _inside() -> NDArray[np.bool_]:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot((x - CENTRE[0]) / RADII[0], (y - CENTRE[1]) / RADII[1]) < 1)
