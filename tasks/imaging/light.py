"""Convert between the values of a file (sRGB) and linear light."""

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

Plane = NDArray[np.float32]
"""One channel, shape (H, W)."""

GAMMA = 2.2
"""The power that approximates sRGB's curve; unlike the curve, it is smooth near black."""


def linear(image: Image) -> Image:
    """Return the linear light of an image's values, both in [0, 1]."""
    return np.power(np.clip(image, 0, 1), np.float32(GAMMA))


def coded(light: Image) -> Image:
    """Return the values of linear light, both in [0, 1]."""
    return np.power(np.clip(light, 0, 1), np.float32(1 / GAMMA))


def luma(image: Image) -> Plane:
    """Return the brightness of an image, (H, W) in [0, 1], with the colour weights of JPEG."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.float32)
