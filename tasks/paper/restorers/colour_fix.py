"""Restore the original's colours in an enlarged image.

Diffusion shifts colours, so the low frequencies are taken from the original, by wavelets. Wang et al.,
"Exploiting diffusion prior for real-world image super-resolution" (StableSR), 2023, which took the
wavelets from image stylisation.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from storage.photos import Image
from tasks.paper.tensors import image_of, tensor_of

LEVELS = 5
"""Levels of the wavelets: structures wider than about 32 pixels come from the original."""


def by_wavelets(image: Image, original: Image) -> Image:
    """Return an image with the low frequencies of the original, of any size; not clipped to [0, 1].

    `original` must not have the padding of a net's input.
    """
    return image + coarse(resized(original, image.shape[:2]) - image)


def coarse(image: Image) -> Image:
    """Return the low frequencies of an image, by the stationary wavelets of a B-spline."""
    for level in range(LEVELS):
        taps = _taps(2**level)
        image = np.asarray(
            cv2.sepFilter2D(image, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REPLICATE),
            np.float32,
        )
    return image


def _taps(distance: int) -> NDArray[np.float32]:
    taps = np.zeros(2 * distance + 1, np.float32)
    taps[[0, distance, -1]] = 0.25, 0.5, 0.25
    return taps


def resized(image: Image, size: tuple[int, int]) -> Image:
    """Return an image resized to (height, width), bicubic, without aliasing when it shrinks."""
    if image.shape[:2] == size:
        return image
    planes = tensor_of(image, torch.device("cpu"))
    result = functional.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return image_of(result.clamp(0, 1))
