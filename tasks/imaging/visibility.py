"""Measure how visible the change of a photo is to a person who looks at it at native size."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging import parallel
from tasks.imaging.light import Plane

Lab = NDArray[np.floating]
"""Colours of CIELAB, shape (..., 3)."""
Numbers = NDArray[np.floating]
"""One number for each of them, shape (...)."""

VISIBLE = 0.55
"""Smallest change, in CIEDE2000, that is seen at native size; chosen by looking at pairs
(`docs/experiments.md`)."""
EYE_SIGMA = 1.2
"""Blur of the eye in pixels of a screen at reading distance, a standard deviation."""
REACH = 4
"""Pixels on each side that the blur takes into account."""
STEP = 2
"""Every so many pixels of the blurred photo are compared; there is no finer detail left in it."""
BLOCK, SHARE = 32, 0.25
"""Side in pixels of the blocks whose mean counts, and the share of them that changed most."""
STRIP = 8 * BLOCK
"""Rows that are compared at a time, to bound the memory."""


def visible_change(before: Image, after: Image) -> float:
    """Return the mean CIEDE2000 of the most changed quarter of the blocks, 0 for equal images.

    Both are RGB in [0, 1], shape (H, W, 3), of one size, and are blurred as by the eye.
    """
    return most_changed(block_changes(before, after))


def block_changes(before: Image, after: Image) -> Plane:
    """Return the mean CIEDE2000 of each block of two images as in `visible_change`, shape (N,)."""

    def measured(rows: tuple[int, int]) -> Plane:
        return _blocks(before, after, *rows)

    return np.concatenate(parallel.each(measured, _strips(len(before))))


def most_changed(changes: Plane, share: float = SHARE) -> float:
    """Return the mean of the largest share of the changes of blocks, shape (N,)."""
    most = math.ceil(share * len(changes))
    return float(np.sort(changes)[-most:].mean())


def _strips(height: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the end of each strip; the last is at least one block high."""
    tops = list(range(0, max(1, height - BLOCK + 1), STRIP))
    yield from zip(tops, [*tops[1:], height], strict=True)


def _blocks(before: Image, after: Image, top: int, end: int) -> Plane:
    """Return the mean difference of each block of a strip; blocks at an edge may be larger."""
    one, other = (_seen(image, top, end) for image in (before, after))
    difference = ciede2000(one, other)
    size = max(1, before.shape[1] // BLOCK), max(1, (end - top) // BLOCK)
    means = cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32).ravel()


def _seen(image: Image, top: int, end: int) -> Lab:
    """Return a strip as the eye gets it, in CIELAB, (H/2, W/2, 3)."""
    first = max(0, top - REACH)
    rows = image[first : end + REACH]
    blurred = cv2.GaussianBlur(rows, (2 * REACH + 1,) * 2, EYE_SIGMA, borderType=cv2.BORDER_REFLECT)
    thinned = np.ascontiguousarray(blurred[top - first : end - first : STEP, ::STEP])
    return np.asarray(cv2.cvtColor(thinned, cv2.COLOR_RGB2Lab), np.float32)


def ciede2000(one: Lab, other: Lab) -> Numbers:
    """Return the colour difference CIEDE2000 of two arrays in CIELAB, of their shape less the last.

    Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", 2005, equations 2 to 22.
    """
    (light_1, chroma_1, hue_1), (light_2, chroma_2, hue_2) = _adjusted(one, other)
    grey = chroma_1 * chroma_2 == 0
    turn = hue_2 - hue_1
    turn = np.where(grey, 0, turn - math.tau * np.rint(turn / math.tau))
    hue_change = 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(turn / 2)
    light, chroma = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2
    hue = np.where(grey, hue_1 + hue_2, hue_1 + turn / 2)
    hue += math.tau * (hue < 0)
    weight = (
        1 - 0.17 * np.cos(hue - math.radians(30)) + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + math.radians(6)) - 0.20 * np.cos(4 * hue - math.radians(63))
    )  # fmt: skip
    off_middle = (light - 50) ** 2
    light_part = (light_2 - light_1) / (1 + 0.015 * off_middle / np.sqrt(20 + off_middle))
    chroma_part = (chroma_2 - chroma_1) / (1 + 0.045 * chroma)
    hue_part = hue_change / (1 + 0.015 * chroma * weight)
    blue = math.radians(60) * np.exp(-(((hue - math.radians(275)) / math.radians(25)) ** 2))
    both = -np.sin(blue) * 2 * _saturation(chroma) * chroma_part * hue_part
    square = light_part**2 + chroma_part**2 + hue_part**2 + both
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def _adjusted(one: Lab, other: Lab) -> list[tuple[Numbers, Numbers, Numbers]]:
    """Return lightness, chroma and hue of both, with a* as the formula adjusts it for greys."""
    chroma = (np.hypot(one[..., 1], one[..., 2]) + np.hypot(other[..., 1], other[..., 2])) / 2
    more = 1 + 0.5 * (1 - _saturation(chroma))
    return [
        (each[..., 0], np.hypot(more * each[..., 1], each[..., 2]),
         np.arctan2(each[..., 2], more * each[..., 1]))
        for each in (one, other)
    ]  # fmt: skip


def _saturation(chroma: Numbers) -> Numbers:
    """Return the share of R_C and G that grows from 0 for greys to 1 for saturated colours."""
    square = (chroma / 25) ** 2
    seventh = square * square * square * (chroma / 25)
    return np.asarray(np.sqrt(seventh / (seventh + 1)))
