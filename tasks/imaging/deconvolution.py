"""Remove a blur of known kernel in linear light, by Richardson-Lucy deconvolution.

Richardson, "Bayesian-based iterative method of image restoration", 1972, and Lucy, 1974. Light
stays positive, and few rounds limit noise and ringing. The rounds are extrapolated as in Biggs and
Andrews, "Acceleration of iterative image restoration algorithms", 1997.
"""

import numpy as np

from storage.photos import Image
from tasks.imaging import spectra
from tasks.imaging.light import Plane, coded, linear
from tasks.imaging.tiles import by_tiles

OVERLAP = 64
"""Pixels of its neighbours around a tile, over which its opposite borders are blended."""
MIN_LIGHT = 1e-3
"""Smallest light that is divided by."""


def deconvolve(image: Image, kernel: Plane, rounds: int) -> Image:
    """Remove the blur by `kernel`, odd sides, sum 1, from an image in `rounds` iterations."""

    def sharpen(tile: Image) -> Image:
        light = spectra.wrapped(linear(tile), OVERLAP)
        spectrum = spectra.of_kernel(kernel, light.shape[:2])
        planes = [_deconvolved(light[..., channel], spectrum, rounds) for channel in range(3)]
        return coded(np.dstack(planes))

    return by_tiles(image, sharpen, OVERLAP)


def _convolved(light: Plane, spectrum: Plane, *, mirrored: bool = False) -> Plane:
    """Convolve light with the kernel, or with the mirrored kernel."""
    return spectra.inverse(spectra.product(spectra.forward(light), spectrum, mirrored=mirrored))


def _deconvolved(light: Plane, spectrum: Plane, rounds: int) -> Plane:
    light = np.maximum(light, MIN_LIGHT)
    estimate = previous = light
    step = previous_step = np.zeros_like(light)
    for _ in range(rounds):
        acceleration = float(
            np.vdot(step, previous_step) / (np.vdot(previous_step, previous_step) + 1e-12)
        )
        predicted = np.maximum(
            estimate + min(max(acceleration, 0.0), 0.95) * (estimate - previous), MIN_LIGHT / 10
        )
        ratio = light / np.maximum(_convolved(predicted, spectrum), MIN_LIGHT)
        previous, estimate = (
            estimate,
            predicted * np.maximum(_convolved(ratio, spectrum, mirrored=True), 0),
        )
        step, previous_step = estimate - predicted, step
    return estimate
