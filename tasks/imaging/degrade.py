"""Degrade a good photo by a known amount, for the demonstration and the tests.

Blur and reflections are applied to linear light, noise and compression to the values of the file.
"""

from typing import assert_never

import cv2
import numpy as np

from storage.enums import Degradation
from storage.photos import Image
from tasks.imaging.kernels import gaussian, ghost_kernel, streak
from tasks.imaging.light import Plane, coded, linear


def degrade(image: Image, kind: Degradation, seed: int) -> Image:
    """Degrade an image moderately to strongly; the same seed gives the same result."""
    rng = np.random.default_rng(seed)
    match kind:
        case Degradation.NOISE:
            return noisy(image, rng.uniform(10, 28), rng)
        case Degradation.COMPRESSION:
            return compressed(image, int(rng.integers(8, 21)))
        case Degradation.SOFTNESS:
            return softened(image, rng.uniform(2, 3.2))
        case Degradation.MOTION:
            return moved(image, rng.uniform(15, 27), rng.uniform(0, 180))
        case Degradation.REFLECTION:
            return ghosted(image, _shift(rng), rng.uniform(0.4, 0.65))
        case _:
            assert_never(kind)


def noisy(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Add white noise of `sigma` (of 255) to each channel."""
    grain = rng.standard_normal(image.shape, np.float32) * np.float32(sigma / 255)
    return np.clip(image + grain, 0, 1)


def compressed(image: Image, quality: int) -> Image:
    """Encode an image as JPEG of a quality from 1 to 100, and decode it."""
    blue_first = np.rint(image[..., ::-1] * 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.float32) / np.float32(255)


def softened(image: Image, sigma: float) -> Image:
    """Blur an image as a lens out of focus does, by a Gaussian of `sigma` pixels."""
    return _convolved(image, gaussian(sigma))


def moved(image: Image, length: float, angle: float) -> Image:
    """Blur an image along a line of `length` pixels, `angle` degrees up from the right."""
    return _convolved(image, streak(length, angle))


def ghosted(image: Image, shift: tuple[int, int], weight: float) -> Image:
    """Add a second copy, `weight` times as bright and shifted by (x, y) pixels, to an image."""
    return _convolved(image, ghost_kernel(*shift, weight))


def _convolved(image: Image, kernel: Plane) -> Image:
    mirrored = cv2.flip(kernel, -1)  # filter2D correlates instead of convolving
    light = cv2.filter2D(linear(image), -1, mirrored, borderType=cv2.BORDER_REFLECT)
    return coded(np.asarray(light, np.float32))


def _shift(rng: np.random.Generator) -> tuple[int, int]:
    distance, angle = rng.uniform(7, 18), rng.uniform(0, 2 * np.pi)
    return round(distance * np.cos(angle)), round(distance * np.sin(angle))
