"""Between the values of a file (sRGB's curve) and light, where blur and reflections add up."""

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

Plane = NDArray[np.float32]
"""One channel, shape (H, W)."""

GAMMA = 2.2
"""The power that stands for sRGB's curve: it has no kink near black, so its way back is smooth."""


def linear(image: Image) -> Image:
    """Give the light behind an image's values, both in [0, 1]."""
    return np.power(np.clip(image, 0, 1), np.float32(GAMMA))


def coded(light: Image) -> Image:
    """Give the values that stand for light, both in [0, 1]."""
    return np.power(np.clip(light, 0, 1), np.float32(1 / GAMMA))


def luma(image: Image) -> Plane:
    """Give the brightness of an image, (H, W) in [0, 1], as JPEG weighs the colours."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.float32)
