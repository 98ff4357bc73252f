"""Build the pictures that show a photo to a vision-language net.

Shrinking a photo to the input size of such a net hides noise, blocks and small movements. So a large
photo is shown by a small overview and by crops at native resolution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.imaging.crops import corners
from tasks.imaging.light import Plane, luma

Pixels = NDArray[np.uint8]
"""A picture, RGB, shape (H, W, 3)."""

TOKEN_PIXELS = 28
"""Side in pixels of one token of Qwen2.5-VL (Qwen3-VL: 32). A picture whose sides are no multiples of it
is resized, which softens it."""
WHOLE_PIXELS = 28 * 28 * 1280
"""Largest photo that is shown whole at native resolution: the default of Qwen's image processor."""
OVERVIEW_PIXELS = 448 * 896
"""Pixels of the overview of a larger photo."""
CROP = 448
"""Side of a crop in pixels: a multiple of 28 and of 32."""
CANDIDATES = 96
"""Evenly spread crops from which those to be shown are chosen."""
MAX_CLIPPED = 0.5
"""Largest share of black and white pixels of a crop that can show a degradation."""
MIN_SIDE, MAX_RATIO = 64, 100
"""Smallest side in pixels, and largest ratio of sides, of a photo that is not padded by reflection;
Qwen's processor refuses ratios above 200."""


@dataclass(frozen=True)
class _Part:
    top: int
    left: int
    gradient: float
    """Mean absolute gradient at half the size, where noise counts less."""
    brightness: float
    clipped: bool
    off_centre: float
    """Distance in pixels between its centre and the photo's."""


def views(
    image: Image, *, faithful: bool = False, token_pixels: int = TOKEN_PIXELS
) -> list[Pixels]:
    """Return the pictures that show an image, RGB in [0, 1], shape (H, W, 3), any H and W.

    The first shows the whole image. The others are its flattest, most textured, brightest, darkest
    and central crop, without those that overlap another by more than half. `faithful` returns only
    one picture of the whole image, shrunk if necessary, as in the paper.
    """
    padded = _padded(image)
    if faithful:
        return [_picture(_shrunk(padded, WHOLE_PIXELS))]
    height, width = padded.shape[:2]
    if height * width <= WHOLE_PIXELS:
        return [
            _picture(
                padded[
                    : height // token_pixels * token_pixels, : width // token_pixels * token_pixels
                ]
            )
        ]
    side = min(CROP, min(height, width) // token_pixels * token_pixels)
    pictures = [_shrunk(padded, OVERVIEW_PIXELS)]
    for part in _chosen(luma(padded), side):
        pictures.append(padded[part.top : part.top + side, part.left : part.left + side])
    return [_picture(picture) for picture in pictures]


def grey(pictures: int) -> list[Pixels]:
    """Return a number of plain grey pictures."""
    return [np.full((CROP, CROP, 3), 128, np.uint8) for _ in range(pictures)]


def _chosen(plane: Plane, side: int) -> list[_Part]:
    parts = list(_parts(plane, side))
    unclipped = [part for part in parts if not part.clipped] or parts
    rankings = (
        sorted(unclipped, key=lambda part: part.gradient),
        sorted(unclipped, key=lambda part: -part.gradient),
        sorted(unclipped, key=lambda part: -part.brightness),
        sorted(unclipped, key=lambda part: part.brightness),
        sorted(parts, key=lambda part: part.off_centre),
    )
    chosen: list[_Part] = []
    for ranking in rankings:
        chosen += [part for part in ranking if _is_apart(part, chosen, side)][:1]
    return chosen


def _parts(plane: Plane, side: int) -> Iterator[_Part]:
    height, width = plane.shape
    half = np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    for top, left in corners(height, width, side, CANDIDATES):
        small = half[top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
        gradient = np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()
        clipped = float(((small < 0.02) | (small > 0.98)).mean()) > MAX_CLIPPED
        off_centre = np.hypot(top + (side - height) / 2, left + (side - width) / 2)
        yield _Part(top, left, float(gradient), float(small.mean()), clipped, float(off_centre))


def _is_apart(part: _Part, others: list[_Part], side: int) -> bool:
    """Return whether a crop overlaps each of the others by half at most."""
    return all(
        2 * max(abs(part.top - other.top), abs(part.left - other.left)) >= side for other in others
    )


def _padded(image: Image) -> Image:
    height, width = image.shape[:2]
    least = max(MIN_SIDE, -(-max(height, width) // MAX_RATIO))
    frame = (0, max(0, least - height), 0, max(0, least - width))
    return np.asarray(cv2.copyMakeBorder(image, *frame, cv2.BORDER_REFLECT), np.float32)


def _shrunk(image: Image, pixels: int) -> Image:
    height, width = image.shape[:2]
    scale = (pixels / (height * width)) ** 0.5
    if scale >= 1:
        return image
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _picture(image: Image) -> Pixels:
    return np.ascontiguousarray(np.rint(255 * np.clip(np.nan_to_num(image), 0, 1)), np.uint8)
