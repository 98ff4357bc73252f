"""Find a ghost (a shifted second copy) or a straight movement that a whole photo shares.

Each multiplies the photo's spectrum by a pattern. In the cepstrum, the transform of the log
spectrum, the pattern becomes one sharp point: positive at a ghost's shift, negative at the ends of
a movement. The median over many crops keeps only the patterns that all crops share, so a pattern
in the scene, or a subject that moves before a still background, is ignored.
Bogert et al., "The quefrency alanysis of time series for echoes", 1963.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.crops import crops
from tasks.imaging.light import Plane

SIDE = 128
"""Pixels of the side of a crop: three times the longest shift."""
REACH = 40
"""The longest shift that is searched for, in pixels."""
MAX_CROPS, KEPT_CROPS = 120, 48
"""Most crops that are cut, and most of them, the most detailed ones, that are transformed."""
MIN_CROPS = 3
"""Fewest crops: with fewer, a shared pattern cannot be told from one of the scene."""
FLOOR = 1e-7
"""Added to a power spectrum, as a share of its peak: rounding to 8 bits adds less than this."""


@dataclass(frozen=True)
class Echo:
    """A point of the cepstrum."""

    x: int
    y: int
    """Pixels to the right and down; of the two opposite points the one with y > 0, or y = 0 and x >
    0."""
    depth: float
    """Height above the surrounding cepstrum; for a movement, depth below zero."""

    @property
    def length(self) -> float:
        """The length of the shift in pixels."""
        return float(np.hypot(self.x, self.y))

    @property
    def angle(self) -> float:
        """The direction, in degrees up from the right, in [0, 180)."""
        return float(np.degrees(np.arctan2(-self.y, self.x)) % 180)


NO_ECHO = Echo(0, 0, 0.0)

BAND = (0.03, 0.22)
"""Cycles per pixel between which a ghost's weight is measured: JPEG compression preserves them."""
VISIBLE_WEIGHT = 0.9
"""Share of a ghost's weight that is measured: the window of a crop cuts off part of the second
copy."""


def echoes(plane: Plane) -> tuple[Echo, Echo]:
    """Return the strongest ghost and the strongest movement of a brightness plane in [0, 1]."""
    cepstrum = shared_cepstrum(plane)
    if cepstrum is None:
        return NO_ECHO, NO_ECHO
    return _ghost(cepstrum), _movement(cepstrum)


def shared_cepstrum(plane: Plane) -> Plane | None:
    """Return the median cepstrum of the most detailed crops, (2 REACH + 1, 2 REACH + 1), 0 centred.

    None if the photo has too few crops.
    """
    views = detailed_crops(plane)
    if len(views) < MIN_CROPS:
        return None
    cepstra = [np.fft.irfft2(_log_spectrum(view), (SIDE, SIDE)) for view in views]
    around = slice(SIDE // 2 - REACH, SIDE // 2 + REACH + 1)
    middle = np.fft.fftshift(np.median(np.stack(cepstra), axis=0))
    return np.asarray(middle[around, around], np.float32)


def ghost_weight(plane: Plane, ghost: Echo) -> float:
    """Estimate the brightness of a ghost relative to the photo, in [0, 1].

    Compression lowers the ghost's depth in the cepstrum, so the depth is not used. The ripple that
    a ghost adds to the mean log spectrum, 2 w cos - w² cos 2…, is fitted together with a smooth
    spectrum, in a band that compression preserves.
    """
    views = detailed_crops(plane)
    if len(views) < MIN_CROPS:
        return 0.0
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    radius, angle = np.hypot(y, x), 2 * np.arctan2(y, x + 1e-9)
    inside = (radius > BAND[0]) & (radius < BAND[1]) & (np.abs(y) > 0.01) & (x > 0.01)
    distance, phase = np.log(radius + 1e-9), 2 * np.pi * (x * ghost.x + y * ghost.y)
    smooth = [np.ones_like(radius), distance, distance**2, radius]
    smooth += [wave(turns * angle) for wave in (np.cos, np.sin) for turns in (1, 2)]
    parts = [part[inside] for part in (*smooth, np.cos(2 * phase), 2 * np.cos(phase))]
    observed = np.mean([_log_spectrum(view) for view in views], axis=0)[inside]
    ripple = np.linalg.lstsq(np.stack(parts, axis=1), observed, rcond=None)[0][-1]
    return float(np.clip(ripple / VISIBLE_WEIGHT, 0, 1))


def detailed_crops(plane: Plane) -> list[Plane]:
    """Return the crops with the most detail, the most detailed first."""
    views = sorted(crops(plane, SIDE, MAX_CROPS), key=_detail, reverse=True)
    kept = views[: min(KEPT_CROPS, max(MIN_CROPS, 2 * len(views) // 3))]
    return [view for view in kept if _detail(view) > 0]


def _detail(view: Plane) -> float:
    return float(np.abs(np.diff(view, axis=0)).mean() + np.abs(np.diff(view, axis=1)).mean())


def _log_spectrum(view: Plane) -> Plane:
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)
    power = np.abs(np.fft.rfft2((view - view.mean()) * window)) ** 2
    return np.asarray(np.log(power + FLOOR * power.max()), np.float32)


def _distances() -> tuple[NDArray[np.int64], NDArray[np.int64], Plane]:
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    upper_half = (y > 0) | ((y == 0) & (x > 0))
    return x, y, np.where(upper_half, np.hypot(x, y), 0).astype(np.float32)


def _ghost(cepstrum: Plane) -> Echo:
    """Return the highest isolated point; movements and the strokes of letters make ridges."""
    x, y, distance = _distances()
    ring = np.ones((5, 5), np.uint8)
    ring[1:4, 1:4] = 0
    heights = cepstrum - cv2.dilate(cepstrum, ring)
    return _strongest(np.where((distance >= 6) & (distance <= 30), heights, 0), x, y)


def _movement(cepstrum: Plane) -> Echo:
    x, y, distance = _distances()
    inside = (distance >= 8) & (distance <= REACH)
    return _strongest(np.where(inside, -cv2.GaussianBlur(cepstrum, (3, 3), 0), 0), x, y)


def _strongest(heights: Plane, x: NDArray[np.int64], y: NDArray[np.int64]) -> Echo:
    at = np.unravel_index(int(heights.argmax()), heights.shape)
    return Echo(int(x[at]), int(y[at]), max(0.0, float(heights[at])))
