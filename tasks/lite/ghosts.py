"""Take the second copy out that a double pane lays over a photo, without a network."""

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
"""Weights between which a ghost can be taken out; two equal copies cannot be told apart."""
LOW_SIGMA = 48.0
"""Pixels from which on colours are the original's: beyond every ghost that is taken out."""


def remove_ghost(image: Image, verdict: Verdict) -> Image:
    """Take out the ghost that the whole image shares; unchanged where none is sure.

    A veil alone can look like a faint one: five of 48 did, and all lost by what was taken out.
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
    """Turn the ghost to the side where taking it out leaves the least to be seen.

    The spectrum does not tell the fainter copy's side; taken out on the wrong one, it leaves an
    echo on both.
    """
    trial = np.dstack((detailed_crops(plane) * 3)[:3])
    return min((kernel, np.flip(kernel)), key=lambda side: _slopes(deconvolve(trial, side, ROUNDS)))


def _slopes(image: Image) -> float:
    return sum(float(np.abs(np.diff(image, axis=axis)).mean()) for axis in (0, 1))
