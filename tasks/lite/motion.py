"""Remove motion blur: a straight one by its measured kernel, any other by a trained net."""

from storage.photos import Image
from tasks.imaging.cepstrum import echoes
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.kernels import streak
from tasks.imaging.light import luma
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.tiled_net import restored
from tasks.verdict import Verdict

MIN_STRAIGHT_DEPTH = 0.02
"""Smallest depth in the cepstrum of a straight movement of the whole image; chosen on 30 photos
(`docs/experiments.md`)."""
ROUNDS = 15
LOW_SIGMA = 48.0
"""Scale in pixels above which the original's colours are kept: longer than any movement."""


def undo_movement(image: Image, verdict: Verdict) -> Image:
    """Deconvolve the straight movement that the whole image shares, else apply the net."""
    _, movement = echoes(luma(image))
    if movement.depth >= MIN_STRAIGHT_DEPTH:
        kernel = streak(movement.length + 1, movement.angle)  # the echo is one pixel shorter
        sharpened = deconvolve(image, kernel, ROUNDS)
    else:
        sharpened = restored(image, "motion")
    return with_low_frequencies_of(image, sharpened, LOW_SIGMA)
