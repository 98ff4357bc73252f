"""Measure signs of a reflection in each block of a shrunken photo, for the net against reflections.

A reflection adds light. Under it no pixel is dark, colours are paler, and the colours of a block do
not lie on a line: He et al., "Single image haze removal using dark channel prior", 2009, section 3,
and Levin et al., "A closed-form solution to natural image matting", 2008, section 4. The reflected
scene is out of focus, so coarse detail is stronger, and its slopes and colours differ from those of
fine detail.
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.light import Plane, luma

Maps = NDArray[np.float32]

SIDE, GRID = 448, 56
"""Side of the shrunken photo in pixels, and its blocks along each side."""
BLOCK = SIDE // GRID
FIGURES = 33
"""Number of figures of each block."""
MEAN_FIGURES = slice(0, 3)
"""Those of the mean red, green and blue."""
DARKEST_FIGURES = slice(3, 6)
"""Those of the darkest red, green and blue."""
NEAR, FAR = 5, 15
"""Blocks across the two neighbourhoods whose darkest and brightest values are figures."""
BANDS = (0.7, 1.4, 2.8, 5.6)
"""Sigmas in pixels of the blurs that separate the bands of detail."""
EPSILON = 1e-3
"""Added to strengths before their logarithm is taken."""


def figures_of(image: Image) -> Maps:
    """Return the figures of the blocks of an image shrunk to a square, (GRID, GRID, FIGURES)."""
    shrunk = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small = np.asarray(shrunk, np.float32).clip(0, 1)
    mean, low, high = _mean(small), _minimum(small), -_minimum(-small)
    near, far = (np.ones((across, across)) for across in (NEAR, FAR))
    blurred = [small, *(cv2.GaussianBlur(small, (0, 0), sigma) for sigma in BANDS)]
    return np.dstack(
        [
            mean, low, high, cv2.erode(low, near), cv2.erode(low, far), cv2.dilate(high, near),
            *_details([luma(image) for image in blurred]),
            *_colours(_covariance(small - mean.repeat(BLOCK, 0).repeat(BLOCK, 1))),
            *_directions(luma(blurred[1]), luma(blurred[3])),
            _colour_similarity(_covariance(small - blurred[2]), _covariance(blurred[3] - blurred[4])),
            (mean.max(2) - mean.min(2)) / (mean.max(2) + 0.02),  # saturation
        ]
    ).astype(np.float32)  # fmt: skip


def _mean(planes: Maps, side: int = BLOCK) -> Maps:
    """Return the mean of each square of `side` by `side` pixels."""
    size = (planes.shape[1] // side, planes.shape[0] // side)
    return np.asarray(cv2.resize(planes, size, interpolation=cv2.INTER_AREA), np.float32)


def _minimum(planes: Maps, side: int = BLOCK) -> Maps:
    """Return the minimum of each square of `side` by `side` pixels, in each channel."""
    rows = planes.reshape(-1, side, *planes.shape[1:]).min(1)
    return np.asarray(rows.reshape(len(rows), -1, side, *planes.shape[2:]).min(2), np.float32)


def _details(greys: list[Plane]) -> list[Plane]:
    """Return the log strength of each band, and of the two finest where they are weakest."""
    powers = [(fine - coarse) ** 2 for fine, coarse in pairwise(greys)]
    quarters = [_mean(power, BLOCK // 2) for power in powers[:2]]
    quietest = [_minimum(quarter, 2) for quarter in quarters]
    return [np.log(np.sqrt(power) + EPSILON) for power in [*map(_mean, powers), *quietest]]


def _covariance(detail: Image) -> Maps:
    """Return the covariance of the colours of each block, (GRID, GRID, 3, 3)."""
    red, green, blue = cv2.split(detail)
    pairs = [red * red, red * green, red * blue, green * green, green * blue, blue * blue]
    covariance = _mean(np.dstack(pairs))
    return covariance[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(GRID, GRID, 3, 3)


def _colours(covariance: Maps) -> list[Plane]:
    """Return the log spread of each block's colours, and how far they leave a line and a plane."""
    spreads = np.moveaxis(np.linalg.eigvalsh(covariance)[..., ::-1], -1, 0).clip(0)
    first, second, third = spreads + np.float32(0.01 * EPSILON)
    return [np.log(first), np.log(second / first), np.log(third / second)]


def _colour_similarity(fine: Maps, coarse: Maps) -> Plane:
    """Return how similar the colours of fine and coarse detail are, 0 to 1."""
    both = (fine * coarse).sum((2, 3))
    alone = np.sqrt((fine**2).sum((2, 3)) * (coarse**2).sum((2, 3)))
    return np.asarray(both / (alone + EPSILON**4), np.float32)


def _directions(fine: Plane, coarse: Plane) -> list[Plane]:
    """Return how far slopes share a direction: fine, coarse, and both together."""
    slopes = [
        [cv2.Sobel(grey, cv2.CV_32F, *along, scale=1 / 8) for along in ((1, 0), (0, 1))]
        for grey in (fine, coarse)
    ]
    orientations, steepness = [], []
    for x, y in slopes:
        across, down, both = _mean(x * x), _mean(y * y), _mean(x * y)
        steepness.append(across + down + np.float32(0.01 * EPSILON))
        orientations.append(np.stack([across - down, 2 * both]) / steepness[-1])
    (fine_x, fine_y), (coarse_x, coarse_y) = slopes
    along = _mean(np.abs(fine_x * coarse_x + fine_y * coarse_y))
    beside = np.sqrt(steepness[0] * steepness[1])
    return [
        *(np.hypot(*each) for each in orientations),
        (orientations[0] * orientations[1]).sum(0),
        along / beside,
    ]
