"""Remove a blur of known kernel in linear light, by Richardson-Lucy deconvolution.

Richardson, "Bayesian-based iterative method of image restoration", 1972, and Lucy, 1974. Light
stays positive, and few rounds limit noise and ringing. The rounds are extrapolated as in Biggs and
Andrews, "Acceleration of iterative image restoration algorithms", 1997.
"""

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging import spectra
from tasks.imaging.light import Plane, coded, linear
from tasks.imaging.tiles import by_tiles

OVERLAP = 64
"""Pixels of its neighbours around a tile, over which its opposite borders are blended."""
MIN_LIGHT = 1e-3
"""Smallest light that is divided by."""
SIGMAS = 16
"""The overlap for a Gaussian blur, in times of its sigma, unless that is more than `OVERLAP`."""

Blur = Callable[[Plane], Plane]


def deconvolve(image: Image, kernel: Plane, rounds: int) -> Image:
    """Remove the blur by `kernel`, odd sides, sum 1, from an image in `rounds` iterations."""

    def sharpen(tile: Image) -> Image:
        light = spectra.wrapped(linear(tile), OVERLAP)
        spectrum = spectra.of_kernel(kernel, light.shape[:2])
        blur, back = (
            partial(_convolved, spectrum=spectrum, mirrored=mirrored) for mirrored in (False, True)
        )
        return coded(_by_channels(light, blur, back, rounds))

    return by_tiles(image, sharpen, OVERLAP)


def remove_gaussian(image: Image, sigma: float, rounds: int) -> Image:
    """Remove a Gaussian blur from an image, as `deconvolve` does, in a third of the time."""
    size = (2 * math.ceil(3 * sigma) + 1,) * 2

    def blur(light: Plane) -> Plane:
        soft = cv2.GaussianBlur(light, size, sigma, borderType=cv2.BORDER_REFLECT)
        return np.asarray(soft, np.float32)

    def sharpen(tile: Image) -> Image:
        return coded(_by_channels(linear(tile), blur, blur, rounds))

    return by_tiles(image, sharpen, min(OVERLAP, math.ceil(SIGMAS * sigma)))


def _convolved(light: Plane, *, spectrum: Plane, mirrored: bool) -> Plane:
    """Convolve light with the kernel, or with the mirrored kernel."""
    return spectra.inverse(spectra.product(spectra.forward(light), spectrum, mirrored=mirrored))


def _by_channels(light: Image, blur: Blur, back: Blur, rounds: int) -> Image:
    channels = (np.asarray(channel, np.float32) for channel in cv2.split(light))
    return np.dstack([_deconvolved(channel, blur, back, rounds) for channel in channels])


def _deconvolved(light: Plane, blur: Blur, back: Blur, rounds: int) -> Plane:
    """Return the light that `blur` blurs to `light`; `back` is its transpose."""
    light = np.maximum(light, MIN_LIGHT)
    estimate = previous = light
    step = previous_step = np.zeros_like(light)
    for _ in range(rounds):
        acceleration = float(
            np.vdot(step, previous_step) / (np.vdot(previous_step, previous_step) + 1e-12)
        )
        ahead = min(max(acceleration, 0.0), 0.95)
        predicted = np.asarray(
            cv2.addWeighted(estimate, 1 + ahead, previous, -ahead, 0), np.float32
        )
        np.maximum(predicted, MIN_LIGHT / 10, out=predicted)
        ratio = light / np.maximum(blur(predicted), MIN_LIGHT)
        factor = np.maximum(back(ratio), 0)
        previous, estimate = estimate, predicted * factor
        step, previous_step = estimate - predicted, step
    return estimate
