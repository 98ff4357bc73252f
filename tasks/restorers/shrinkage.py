"""Remove compression by shrinking the cosine transform of overlapping blocks.

What is weak beside the file's quantisation is taken out; the mean over many
positions of the block grid leaves no block border behind.
Yu and Sapiro, "DCT image denoising: a simple and effective image denoising algorithm", IPOL 2011;
Nosratinia, "Enhancement of JPEG-compressed images by re-application of JPEG", 2001.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.light import Plane
from tasks.restorers.tiles import by_tiles

BLOCK = 8
POSITIONS = tuple((y, x) for y in range(0, BLOCK, 2) for x in range(y // 2 % 2, BLOCK, 2))
"""Of the block grid, whose results are averaged: a quarter of all."""
JPEG_LIMIT = 0.35
"""Times the step of the quantisation; best on Kodak at qualities 10 to 25."""

# ITU-T T.81, tables K.1 and K.2: the steps of quality 50.
BRIGHTNESS_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(4 * ((99,) * 8,)),
)

Limits = NDArray[np.float32]
"""For each coefficient of brightness and the two colours, in the image's unit, (3, 8, 8)."""


def against_jpeg(quality: float) -> Limits:
    """Give the limits for a JPEG file of a quality from 1 to 100."""
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    steps = np.array([BRIGHTNESS_STEPS, COLOUR_STEPS, COLOUR_STEPS])
    return (steps * JPEG_LIMIT * scale / 255).astype(np.float32)


def shrink(image: Image, limits: Limits) -> Image:
    """Drop every coefficient below its limit; the mean of a block is kept."""
    limits = limits.copy()
    limits[:, 0, 0] = 0
    return by_tiles(image, lambda tile: _shrunk(tile, limits), overlap=2 * BLOCK)


def _shrunk(tile: Image, limits: Limits) -> Image:
    height, width = tile.shape[:2]
    rows, columns = (-(-(side + BLOCK) // BLOCK) * BLOCK for side in (height, width))
    total = np.zeros((3, height, width), np.float32)
    planes = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)
    for top, left in POSITIONS:
        frame = (top, rows - height - top, left, columns - width - left)
        framed = cv2.copyMakeBorder(planes, *frame, cv2.BORDER_REFLECT)
        for plane, limit, sums in zip(cv2.split(framed), limits, total, strict=True):
            sums += _without_weak(np.asarray(plane, np.float32), limit)[
                top : top + height, left : left + width
            ]
    mean = np.moveaxis(total, 0, -1) / np.float32(len(POSITIONS))
    return np.asarray(cv2.cvtColor(mean, cv2.COLOR_YCrCb2RGB), np.float32)


def _without_weak(plane: Plane, limit: Plane) -> Plane:
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    blocks = plane.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    cosines = COSINES @ blocks @ COSINES.T
    cosines *= np.abs(cosines) >= limit
    kept = (COSINES.T @ cosines @ COSINES).swapaxes(1, 2).reshape(plane.shape)
    return np.asarray(kept, np.float32)


def _cosines() -> Plane:
    k, n = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


COSINES = _cosines()
"""The orthonormal transform of eight values, one row for each frequency."""
