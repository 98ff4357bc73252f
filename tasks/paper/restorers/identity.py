"""Refuse a restored face that is not the given one any more, by what is left of both when blurred.

Two measures that need no weights: around each eye, the nose and each corner of the mouth the two
must go with each other (a correlation, which sees neither brightness nor contrast), and between
brows and chin their colours must be near. Measured as written here on 64 aligned faces, 14 to 141
pixels between the eyes, of photos/research and photos/clear; what a net might give back was made by
hand, no output of CodeFormer or GFPGAN was at hand. Lengths are of the distance between the eyes:

    a face is given                 a net gives back                               refused
    blurred by up to 1/4, or with   itself, sharp                                  none of 64
    15 pixels between the eyes
    blurred by 2/5                  itself, sharp                                  2 of 64
    with 12 pixels and much noise   itself, sharp                                  2 of 64
    sharp                           itself, sharper, brighter or of more contrast  none of 64
    sharp                           itself, moved by 1/25, 1/13, 1/8               0, 38, 97 %
    blurred by 1/3                  another's, all pairs                           4032 of 4032
    blurred by 1/3                  another's, in its own colours and contrast     200 of 200
    blurred by 1/3                  20, 35, 50 % of another's mixed in             22, 74, 94 %
    blurred by 1/3                  its shadows wider than 1/6, another's details  82 %
    blurred by 1/3                  its shadows wider than 1/13, another's details 19 %

The most alike of the others' faces reached 0.59. What this cannot see: who it is. A net that draws
other lashes, teeth, wrinkles or another look into the same light and shadow passes, as does, of a
face that is alike on both sides, the mirrored one. Another photo of the same person is refused.

Where YuNet finds the five points again was measured, too, and is of no use: of a face blurred with a
standard deviation of 1/16 and the same one sharp they lie 0.16 apart (median; 5 of 64 were not
found), of another's, aligned like it, 0.21.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.light import luma
from tasks.paper.restorers.alignment import SIDE, TEMPLATE, FaceRefused

BLUR, WINDOW = 6.0, 96
"""Pixels of an aligned face: standard deviation and side of what is compared around each point."""
MIN_LIKENESS = 0.7
"""Correlation in the least alike of the five windows."""
COLOUR_BLUR = 20.0
"""Pixels, standard deviation: the blur under which colours are compared."""
MAX_COLOUR_DIFFERENCE = 0.06
"""Root mean square of their difference between brows and chin."""
CENTRE, RADII = (256, 300), (110, 130)
"""Of that ellipse, x and y."""


def check(given: Image, made: Image) -> None:
    """Refuse an aligned face, RGB in [0, 1], (512, 512, 3), that is not the given one any more.

    Raises:
        FaceRefused: its features or its colours are others.

    """
    if likeness(given, made) < MIN_LIKENESS:
        raise FaceRefused("other features")
    if colour_difference(given, made) > MAX_COLOUR_DIFFERENCE:
        raise FaceRefused("other colours")


def likeness(given: Image, made: Image) -> float:
    """Give how far two aligned faces go with each other where they do so least, in [-1, 1]."""
    both = [cv2.GaussianBlur(luma(face), (0, 0), BLUR) for face in (given, made)]
    return min(
        _correlation(*(face[_around(x, y)].astype(np.float64) for face in both))
        for x, y in TEMPLATE.astype(int)
    )


def colour_difference(given: Image, made: Image) -> float:
    """Give how far the colours of two aligned faces are apart, in [0, 1]."""
    apart = cv2.GaussianBlur(given - made, (0, 0), COLOUR_BLUR)
    return math.sqrt(float(np.square(apart[_inside()]).mean()))


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
