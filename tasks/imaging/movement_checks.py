"""Measure whether a blur was removed rightly, from the photo, the result and the kernel alone."""

from dataclasses import dataclass

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane, coded, linear, luma
from tasks.imaging.masks import BoolMask
from tasks.imaging.sparse_deconvolution import CLIPPED

DETAIL_SIGMA = 3.0
"""Sigma in pixels of the blur that separates detail from the rest."""
FLAT_WINDOW, FLATTEST = 17, 0.25
"""Side in pixels of the windows whose deviation is compared, and share of them that is flat."""
FAINT = 0.5 / 255
"""Less detail is rounded away in a file. It is added to both sides of the ratio of ripples, and a
photo without more cannot be judged."""
MIN_PIXELS = 2000
"""Fewest pixels that can be judged."""


@dataclass(frozen=True)
class Checks:
    """Figures of one result."""

    misfit: float
    """Deviation of the photo from the result blurred again, as a share of the photo's detail."""
    sparsity: float
    """Ratio of the spread of slopes over all pixels, after and before: sharp edges lower it, noise
    and ripples raise it (Krishnan et al., "Blind deconvolution using a normalized sparsity
    measure", 2011)."""
    ripple: float
    """Rise of the detail in the flattest places, as a share of the rise everywhere."""
    rise: float
    """Detail after and before: the sharpening that was gained."""


def checks(before: Image, after: Image, kernel: Plane, *, in_light: bool) -> Checks | None:
    """Measure a result; `in_light` if the kernel blurs linear light instead of the values.

    Clipped pixels and what a kernel spreads of them are left out; None if too little is left, or
    if what is left has no detail.
    """
    again = _blurred(after, kernel, in_light=in_light)
    inside = _measurable(before, kernel.shape[0])
    if np.count_nonzero(inside) < MIN_PIXELS:
        return None
    old, new = luma(before), luma(after)
    detail, sharper = _detail(old), _detail(new)
    flat = inside & (_deviation(old) <= np.quantile(_deviation(old)[inside], FLATTEST))
    spread = _spread(old, inside)
    if _rms(detail[inside]) < FAINT or spread == 0:
        return None
    rise = _rms(sharper[inside]) / _rms(detail[inside])
    return Checks(
        _rms((old - luma(again))[inside]) / _rms(detail[inside]),
        _spread(new, inside) / spread,
        (_rms(sharper[flat]) + FAINT) / (_rms(detail[flat]) + FAINT) / rise,
        rise,
    )


def _blurred(image: Image, kernel: Plane, *, in_light: bool) -> Image:
    values = linear(image) if in_light else image
    spread = cv2.filter2D(values, -1, cv2.flip(kernel, -1), borderType=cv2.BORDER_REFLECT)
    return coded(np.asarray(spread, np.float32)) if in_light else np.asarray(spread, np.float32)


def _measurable(image: Image, side: int) -> BoolMask:
    clipped = (image.max(2) >= CLIPPED).astype(np.uint8)
    inside = cv2.dilate(clipped, np.ones((side, side), np.uint8)) == 0
    margin = side // 2 + 2
    inside[:margin] = inside[-margin:] = False
    inside[:, :margin] = inside[:, -margin:] = False
    return np.asarray(inside, np.bool_)


def _detail(plane: Plane) -> Plane:
    return plane - np.asarray(cv2.GaussianBlur(plane, (0, 0), DETAIL_SIGMA), np.float32)


def _deviation(plane: Plane) -> Plane:
    soft, window = cv2.GaussianBlur(plane, (0, 0), 1), (FLAT_WINDOW, FLAT_WINDOW)
    return np.asarray(cv2.blur(soft * soft, window) - cv2.blur(soft, window) ** 2, np.float32)


def _rms(values: Plane) -> float:
    return float(np.sqrt(np.square(values).mean(dtype=np.float64))) + 1e-6


def _spread(plane: Plane, inside: BoolMask) -> float:
    """Return the mean steepness over its root mean square: small if few pixels are steep."""
    x, y = np.diff(plane, axis=1)[:-1], np.diff(plane, axis=0)[:, :-1]
    steepness = np.hypot(x, y)[inside[:-1, :-1]]
    return float(steepness.mean(dtype=np.float64)) / _rms(steepness)
