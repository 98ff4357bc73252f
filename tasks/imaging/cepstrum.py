"""Find what repeats in a whole photo: a ghost (a shifted second copy) or a straight movement.

Both multiply the photo's spectrum by a pattern of their own. In the cepstrum, the transform of
the log spectrum, that pattern becomes one sharp point: +weight at a ghost's shift, a negative one
at the ends of a movement. The median over many crops keeps only what all of them share, so a
pattern in the scene, or a moving subject before a still background, does not count.
Bogert et al., "The quefrency alanysis of time series for echoes", 1963.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.crops import crops
from tasks.imaging.light import Plane

SIDE = 128
"""Pixels of a crop: three times the longest shift that is looked for."""
REACH = 40
"""The longest shift that is looked for, in pixels."""
MAX_CROPS, KEPT_CROPS = 120, 48
"""How many crops are looked at, and how many of them, the most detailed, are transformed."""
MIN_CROPS = 3
"""With less there is nothing to tell the photo's own patterns from."""
FLOOR = 1e-7
"""Of a spectrum's peak: the rounding to 8 bits lies below."""


@dataclass(frozen=True)
class Echo:
    """A point of the cepstrum."""

    x: int
    y: int
    """Pixels to the right and down; of the two opposite points the one with y > 0, or y = 0 < x."""
    depth: float
    """Its height above the cepstrum around it (for a movement: its depth below)."""

    @property
    def length(self) -> float:
        """The distance in pixels."""
        return float(np.hypot(self.x, self.y))

    @property
    def angle(self) -> float:
        """The direction, in degrees up from the right, in [0, 180)."""
        return float(np.degrees(np.arctan2(-self.y, self.x)) % 180)


NO_ECHO = Echo(0, 0, 0.0)

BAND = (0.03, 0.22)
"""Cycles a pixel that survive JPEG compression, and in which a ghost's weight is read."""
VISIBLE_WEIGHT = 0.9
"""Of a ghost's weight is seen in a crop, whose window cuts off part of the second copy."""


def echoes(plane: Plane) -> tuple[Echo, Echo]:
    """Give the strongest ghost and the strongest movement of a brightness plane in [0, 1]."""
    cepstrum = shared_cepstrum(plane)
    if cepstrum is None:
        return NO_ECHO, NO_ECHO
    return _ghost(cepstrum), _movement(cepstrum)


def shared_cepstrum(plane: Plane) -> Plane | None:
    """Give the median cepstrum of the most detailed crops, (2 REACH + 1, 2 REACH + 1), 0 centred.

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
    """Estimate how bright a ghost is beside the photo, in [0, 1].

    Its depth in the cepstrum says less and less the more a file is compressed. So the ripple that
    it lays over the mean log spectrum, 2 w cos - w² cos 2…, is fitted where the file is faithful,
    together with a smooth spectrum.
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
    """Give the crops with the most detail, the most detailed first."""
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
    """Give the highest lone point; a movement and the strokes of letters make ridges instead."""
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
