"""Give an enlarged image the colours of the one it was made from.

Diffusion shifts colours, so all that is coarse comes from the original, by wavelets. Wang et al.,
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
"""Of the wavelets: what is coarser than some 32 pixels comes from the original."""


def by_wavelets(image: Image, original: Image) -> Image:
    """Take all that is coarse from the original, of any size; not clipped to [0, 1].

    `original` must be without any frame that was put around it to make it fit a net.
    """
    return image + coarse(resized(original, image.shape[:2]) - image)


def coarse(image: Image) -> Image:
    """Give the low frequencies of an image, by the stationary wavelets of a B-spline."""
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
    """Give an image (height, width) another size, bicubic, without aliases when it shrinks."""
    if image.shape[:2] == size:
        return image
    planes = tensor_of(image, torch.device("cpu"))
    made = functional.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return image_of(made.clamp(0, 1))
