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

INTERPOLATED = 2
"""Rows on each side that bicubic interpolation takes into account."""


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

    The sides of `after` may be a whole multiple of those of `before`, which is then enlarged.
    """
    if kept.min() == 1:
        return after
    scale = len(after) // len(before)
    share, result = spread(kept, before.shape), after.copy()
    height = STRIP * BLOCK // scale

    def fade(top: int) -> None:
        rows = top, min(top + height, len(before))
        own = _enlarged(share, rows, scale, cv2.INTER_LINEAR)
        if own.min() < 1:
            strip = slice(scale * rows[0], scale * rows[1])
            old = _enlarged(before, rows, scale, cv2.INTER_CUBIC)
            result[strip] += (1 - own[..., None]) * (old - after[strip])

    parallel.each(fade, range(0, len(before), height))
    return result


def _enlarged(image: Image, rows: tuple[int, int], scale: int, interpolation: int) -> Image:
    """Return rows of an image in [0, 1] as they are in the enlarged image."""
    top, end = rows
    first = max(0, top - INTERPOLATED)
    part = image[first : end + INTERPOLATED]
    size = (scale * part.shape[1], scale * part.shape[0])
    large = part if scale == 1 else cv2.resize(part, size, interpolation=interpolation).clip(0, 1)
    return np.asarray(large[scale * (top - first) : scale * (end - first)], np.float32)
