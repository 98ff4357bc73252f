"""Lay text that was restored apart over an enlarged image, without a seam."""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.photos import Image
from tasks.light import Plane
from tasks.restorers.colour_fix import by_wavelets

# Pixels of the original, but for the last.
GROWN = 3
"""By which a polygon is widened on each side before it fades, so that it fades outside of it."""
FADING = 1.0
"""The standard deviation of the fading, so that nothing is left of it `REACH` from the polygon."""
REACH = 8
CONTEXT = 24
"""That is seen around a region, so that its border is not: it holds the reach of the wavelets."""
SMALLEST = 16
"""Square pixels below which a polygon holds no letters."""
FRACTION = 4
"""Bits of a corner's coordinates behind the point."""

Polygon = NDArray[np.float32]
"""Corners, (N, 2), x and y in pixels of the original."""
Box = tuple[slice, slice]
"""Rows and columns."""


def fuse_text(
    whole: Image,
    original: Image,
    polygons: Sequence[Polygon],
    restore: Callable[[Image], Image],
) -> Image:
    """Restore the text inside `polygons` of `original`, and lay it over `whole`.

    `whole` is the original enlarged by a whole factor; `restore` enlarges by the same, and is called
    once for each region of neighbouring polygons. The text keeps the original's colours up to one
    tone for each region, by which it meets what surrounds it.
    """
    scale = whole.shape[0] // original.shape[0]
    if whole.shape[:2] != tuple(scale * side for side in original.shape[:2]):
        raise ValueError(f"{whole.shape} is no whole multiple of {original.shape}")
    made = whole.copy()
    for box, near in _regions(original.shape[:2], polygons):
        rows, columns = (slice(scale * side.start, scale * side.stop) for side in box)
        corner = np.array((box[1].start, box[0].start), np.float32)
        text = by_wavelets(restore(original[box]), original[box])
        mask = text_mask(text.shape[:2], [polygon - corner for polygon in near], scale)
        change = _toned(text, whole[rows, columns], mask) - whole[rows, columns]
        made[rows, columns] += mask[..., np.newaxis] * change
    return np.clip(made, 0, 1)


def text_mask(size: tuple[int, int], polygons: Sequence[Polygon], scale: int) -> Plane:
    """Give a mask of an enlarged image, of `size` (height, width): 1 on text, fading around it."""
    mask = np.zeros(size, np.float32)
    for polygon in polygons:
        corners = scale * (polygon + 0.5) - 0.5  # the middle of a pixel is enlarged, not its corner
        fine = np.rint(corners * 2**FRACTION).astype(np.int32)
        cv2.fillPoly(mask, [fine], (1.0,), shift=FRACTION)
    width = 2 * GROWN * scale + 1
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    faded = cv2.GaussianBlur(grown, (0, 0), FADING * scale, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(faded, np.float32)


def _regions(
    size: tuple[int, int], polygons: Sequence[Polygon]
) -> Iterator[tuple[Box, list[Polygon]]]:
    """Gather polygons whose surroundings touch; each region comes with its context."""
    boxes = [_box(polygon, size) for polygon in polygons]
    seen = [
        (box, polygon)
        for box, polygon in zip(boxes, polygons, strict=True)
        if cv2.contourArea(polygon) >= SMALLEST and all(side.start < side.stop for side in box)
    ]
    painted = np.zeros(size, np.uint8)
    for box, _ in seen:
        painted[box] = 1
    count, labels, places, _ = cv2.connectedComponentsWithStats(painted)
    for label in range(1, count):
        left, top, width, height = places[label][:4]
        rows = _side(top - CONTEXT, top + height + CONTEXT, size[0])
        columns = _side(left - CONTEXT, left + width + CONTEXT, size[1])
        near = [polygon for box, polygon in seen if labels[box][0, 0] == label]
        yield (rows, columns), near


def _box(polygon: Polygon, size: tuple[int, int]) -> Box:
    """Give the box around a polygon and its fading, inside the image."""
    least, most = np.floor(polygon.min(0)) - REACH, np.ceil(polygon.max(0)) + REACH + 1
    return _side(least[1], most[1], size[0]), _side(least[0], most[0], size[1])


def _side(start: float, stop: float, length: int) -> slice:
    return slice(max(0, int(start)), min(length, int(stop)))


def _toned(text: Image, whole: Image, mask: Plane) -> Image:
    """Shift the text's colours as a whole, so that they meet the image's where the mask fades."""
    weight = (mask * (1 - mask))[..., np.newaxis]
    drift = (weight * (whole - text)).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    return text + np.asarray(drift, np.float32)
