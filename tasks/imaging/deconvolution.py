"""Undo a blur whose kernel is known, in light.

Richardson, "Bayesian-based iterative method of image restoration", 1972, and Lucy, 1974: no light
becomes negative, and stopping early keeps noise and ringing down. The rounds are extrapolated as in
Biggs and Andrews, "Acceleration of iterative image restoration algorithms", 1997.
"""

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane, coded, linear
from tasks.imaging.tiles import by_tiles

OVERLAP = 64
"""Pixels that a tile sees of its neighbours, and in which it is made to go round."""
DARKEST = 1e-3
"""Light is not divided by less."""


def deconvolve(image: Image, kernel: Plane, rounds: int) -> Image:
    """Undo the blur of an image by `kernel`, odd sides, sum 1, in `rounds` steps."""

    def sharpen(tile: Image) -> Image:
        light = _going_round(linear(tile))
        spectrum = _spectrum(kernel, light.shape[:2])
        planes = [_sharpened(light[..., channel], spectrum, rounds) for channel in range(3)]
        return coded(np.dstack(planes))

    return by_tiles(image, sharpen, OVERLAP)


def _going_round(light: Image) -> Image:
    """Fade the tile's frame into the opposite one, so that nothing breaks where it goes round."""
    for axis, side in enumerate(light.shape[:2]):
        from_edge = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
        own = np.minimum(1, 0.5 + 0.5 * from_edge / OVERLAP)
        own = np.expand_dims(own, tuple({0, 1, 2} - {axis}))
        light = own * light + (1 - own) * np.flip(light, axis)
    return light


def _spectrum(kernel: Plane, shape: tuple[int, int]) -> Plane:
    framed = np.zeros(shape, np.float32)
    rows, columns = kernel.shape
    framed[:rows, :columns] = kernel
    framed = np.roll(framed, (-(rows // 2), -(columns // 2)), (0, 1))
    return np.asarray(cv2.dft(framed), np.float32)


def _spread(light: Plane, spectrum: Plane, *, back: bool = False) -> Plane:
    """Blur as the kernel does, or `back` with its mirror."""
    product = cv2.mulSpectrums(cv2.dft(light), spectrum, 0, conjB=back)
    flags = cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT
    return np.asarray(cv2.dft(product, flags=flags), np.float32)


def _sharpened(light: Plane, spectrum: Plane, rounds: int) -> Plane:
    light = np.maximum(light, DARKEST)
    now = last = light
    step = before = np.zeros_like(light)
    for _ in range(rounds):
        pace = float(np.vdot(step, before) / (np.vdot(before, before) + 1e-12))
        ahead = np.maximum(now + min(max(pace, 0.0), 0.95) * (now - last), DARKEST / 10)
        ratio = light / np.maximum(_spread(ahead, spectrum), DARKEST)
        last, now = now, ahead * np.maximum(_spread(ratio, spectrum, back=True), 0)
        step, before = now - ahead, step
    return now
