"""Cut an image into patches that overlap by half, and weight their enlarged pixels."""

import numpy as np
from numpy.typing import NDArray

from storage.photos import Image

SCALE = 4
"""Factor by which patches are enlarged."""
MULTIPLE = 16
"""Sides of patches are multiples of this, in pixels: autoencoder and UNet halve the enlarged image three
times each."""

Weights = dict[int, NDArray[np.float32]]
"""Start of a patch → its weight at each enlarged pixel along its side."""


def padded(image: Image, patch: int) -> tuple[Image, int, int]:
    """Pad an image by reflection so that patches fit; return it and the padding above and left.

    A side shorter than a patch is padded to one at both ends, a longer one to a multiple of 16 at its
    end.
    """
    added = []
    for side in image.shape[:2]:
        short = max(0, patch - side)
        added.append((short // 2, short - short // 2 + -max(side, patch) % MULTIPLE))
    return np.pad(image, (*added, (0, 0)), "reflect"), added[0][0], added[1][0]


def weights(side: int, patch: int) -> Weights:
    """Return the starts of patches along a side and their weights, which sum to 1 everywhere."""
    starts = sorted({*range(0, side - patch, patch // 2), side - patch})
    total = np.zeros(SCALE * side)
    for start in starts:
        total[enlarged(start, patch)] += _window(SCALE * patch)
    return {
        start: (_window(SCALE * patch) / total[enlarged(start, patch)]).astype(np.float32)
        for start in starts
    }


def _window(length: int) -> NDArray[np.float64]:
    """Return a Gaussian of an even length; its sigma is OpenCV's for the next odd length."""
    sigma = 0.3 * (length / 2 - 1) + 0.8
    return np.asarray(np.exp(-0.5 * np.square(np.arange(1 - length // 2, length // 2 + 1) / sigma)))


def enlarged(start: int, length: int) -> slice:
    """Return the enlarged pixels of a part of a side."""
    return slice(SCALE * start, SCALE * (start + length))
