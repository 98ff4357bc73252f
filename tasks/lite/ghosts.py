"""Remove the second copy that a thick pane adds to a photo, by deconvolution."""

import numpy as np

from storage.photos import Image
from tasks.imaging.cepstrum import detailed_crops, echoes, ghost_weight
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.kernels import ghost_kernel
from tasks.imaging.light import Plane, luma
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.classifier import GHOST
from tasks.verdict import Verdict

ROUNDS = 12
MIN_WEIGHT, MAX_WEIGHT = 0.1, 0.8
"""Smallest weight of a ghost that is removed, and largest weight in the kernel: equal copies cannot
be separated."""
LOW_SIGMA = 48.0
"""Scale in pixels above which the original's colours are kept: longer than any ghost's shift."""


def remove_ghost(image: Image, verdict: Verdict) -> Image:
    """Remove the ghost that the whole image shares; return the image unchanged if none is certain.

    A faint ghost is left, because a veil without a ghost can look like one.
    """
    plane = luma(image)
    ghost, _ = echoes(plane)
    if ghost.depth < GHOST[1]:
        return image
    weight = ghost_weight(plane, ghost)
    if weight < MIN_WEIGHT:
        return image
    kernel = _oriented(plane, ghost_kernel(ghost.x, ghost.y, min(weight, MAX_WEIGHT)))
    return with_low_frequencies_of(image, deconvolve(image, kernel, ROUNDS), LOW_SIGMA)


def _oriented(plane: Plane, kernel: Plane) -> Plane:
    """Return the kernel or its mirror, whichever leaves the smaller slopes.

    The spectrum does not show on which side the fainter copy lies; removing it on the wrong side
    leaves an echo on both.
    """
    trial = np.dstack((detailed_crops(plane) * 3)[:3])
    return min((kernel, np.flip(kernel)), key=lambda side: _slopes(deconvolve(trial, side, ROUNDS)))


def _slopes(image: Image) -> float:
    return sum(float(np.abs(np.diff(image, axis=axis)).mean()) for axis in (0, 1))
