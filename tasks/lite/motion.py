"""Undo a movement of the camera: a straight one by its measured kernel, any other by a trained net."""

from storage.photos import Image
from tasks.imaging.cepstrum import echoes
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.kernels import streak
from tasks.imaging.light import luma
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.tiled_net import restored
from tasks.verdict import Verdict

MIN_STRAIGHT_DEPTH = 0.02
"""The depth in the cepstrum from which on the whole image shares one straight movement. Of 30 spoilt
photos 12 lie above: their kernels gain 3.3 dB, the net 0.2; below, kernels harm more than a third."""
ROUNDS = 15
LOW_SIGMA = 48.0
"""Pixels from which on colours are the original's: beyond every movement that is undone."""


def undo_movement(image: Image, verdict: Verdict) -> Image:
    """Sharpen along the movement that the whole image shares, or else what has moved."""
    _, movement = echoes(luma(image))
    if movement.depth >= MIN_STRAIGHT_DEPTH:
        kernel = streak(movement.length + 1, movement.angle)  # the echo is one pixel short of it
        sharpened = deconvolve(image, kernel, ROUNDS)
    else:
        sharpened = restored(image, "motion")
    return with_low_frequencies_of(image, sharpened, LOW_SIGMA)
