"""Keep a change where it is good, and fade to the original where it is not."""

import cv2
import numpy as np

from storage.photos import Image
from tasks.guarding.blocks import BLOCK, STRIP, Maps, by_strips, spread
from tasks.imaging import parallel
from tasks.imaging.light import Plane

AROUND, FADE = 1, 3
"""Blocks around a failed one that are given up, too, and the side in blocks of the window over which
the mask fades outside of them."""


def kept_blocks(failed: Plane) -> Plane:
    """Return the share of the change that each block keeps, 0 to 1, from a map of 0 and 1."""
    wide = cv2.dilate(failed, np.ones((2 * AROUND + 1,) * 2, np.uint8))
    fading = cv2.GaussianBlur(wide, (FADE, FADE), 0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(1 - np.clip(fading, 0, 1), np.float32)


def energies(before: Image, after: Image) -> Plane:
    """Return the mean square of the change of each block."""

    def square(old: Image, new: Image) -> Maps:
        mean = np.full((1, 3), 1 / 3, np.float32)
        return (np.asarray(cv2.transform(np.square(new - old), mean), np.float32),)

    (energy,) = by_strips(square, before, after)
    return energy


def faded(before: Image, after: Image, kept: Plane) -> Image:
    """Return the result with the kept share of its change.

    A result of another size than `before` is compared with the photo enlarged to it.
    """
    if kept.min() == 1:
        return after
    share = spread(kept, before.shape)
    if before.shape != after.shape:
        size = after.shape[1::-1]
        share = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_LINEAR), np.float32)
        before = cv2.resize(before, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    result = after.copy()

    def fade(top: int) -> None:
        rows = slice(top, top + STRIP * BLOCK)
        if share[rows].min() < 1:
            result[rows] += (1 - share[rows][..., None]) * (before[rows] - after[rows])

    parallel.each(fade, range(0, len(after), STRIP * BLOCK))
    return result
