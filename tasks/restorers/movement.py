"""Undo a straight movement of the camera without a network."""

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.classifiers.echoes import echoes
from tasks.kernels import streak
from tasks.light import luma
from tasks.restorers.deconvolution import deconvolve
from tasks.restorers.tiles import with_low_frequencies_of

ROUNDS = 15
LOW_SIGMA = 48.0
"""Pixels from which on colours are the original's: beyond every movement that is undone."""


def undo_movement(image: Image, verdict: Verdict) -> Image:
    """Sharpen along the movement that the whole image shares; unchanged where there is none."""
    _, movement = echoes(luma(image))
    if movement.length < 2:
        return image
    kernel = streak(movement.length + 1, movement.angle)  # the echo is one pixel short of it
    return with_low_frequencies_of(image, deconvolve(image, kernel, ROUNDS), LOW_SIGMA)
