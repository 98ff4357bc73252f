"""Blend separately restored text into an enlarged image, without a seam.

No letter may be invented. Where a restored line does not read as before, the original's enlarged
pixels are used, not the diffusion's, which invents letters.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import not_

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane
from tasks.imaging.text_detection import Polygon
from tasks.paper.restorers.colour_fix import by_wavelets, resized

# In pixels of the original, but for the last.
GROWTH = 3
"""Margin of a polygon inside of which its mask does not fade."""
FADING = 1.0
"""Standard deviation of the fading."""
REACH = 8
"""Distance from a polygon at which its mask has faded to 0."""
CONTEXT = 24
"""Margin around a region that is restored with it; larger than the reach of the wavelets."""
MIN_AREA = 16
"""Smallest area in square pixels of a polygon with letters."""
SUBPIXEL_BITS = 4
"""Fractional bits of a corner's coordinates."""

Box = tuple[slice, slice]
"""Rows and columns."""
Gate = Callable[[Image, Image, Sequence[Polygon]], Sequence[bool]]
"""An enlarged region, the same restored, polygons in their pixels → which restored lines are kept."""


@dataclass(frozen=True)
class Fused:
    """An image with its text, and how many lines were restored."""

    image: Image
    kept: int
    """Lines that were restored."""
    refused: int
    """Lines that show the original's pixels."""


def fuse_text(
    whole: Image,
    original: Image,
    polygons: Sequence[Polygon],
    restore: Callable[[Image], Image],
    gate: Gate,
) -> Fused:
    """Blend the text inside `polygons` of `original` into `whole`, restored where `gate` keeps it.

    `whole` is the original enlarged by a whole factor. `restore` enlarges by the same factor, and is
    called once for each region of neighbouring polygons. The text keeps the original's colours up to
    one offset for each region, which matches its surroundings.
    """
    scale = whole.shape[0] // original.shape[0]
    if whole.shape[:2] != tuple(scale * side for side in original.shape[:2]):
        raise ValueError(f"{whole.shape} is no whole multiple of {original.shape}")
    result, verdicts = whole.copy(), list[bool]()
    for box, near in _regions(original.shape[:2], polygons):
        region, corner = original[box], np.array((box[1].start, box[0].start), np.float32)
        lines = [polygon - corner for polygon in near]
        plain = resized(region, (scale * region.shape[0], scale * region.shape[1]))
        text = by_wavelets(restore(region), region)
        keeps = gate(plain, text, [_enlarged(line, scale) for line in lines])
        place = result[tuple(slice(scale * side.start, scale * side.stop) for side in box)]
        _blend(text, list(compress(lines, keeps)), place, scale)
        _blend(
            plain, list(compress(lines, map(not_, keeps))), place, scale
        )  # on top, if they touch
        verdicts += keeps
    return Fused(np.clip(result, 0, 1), sum(verdicts), len(verdicts) - sum(verdicts))


def text_mask(size: tuple[int, int], polygons: Sequence[Polygon], scale: int) -> Plane:
    """Return a mask of an enlarged image, of `size` (height, width): 1 on text, fading around it."""
    mask = np.zeros(size, np.float32)
    for polygon in polygons:
        fine = np.rint(_enlarged(polygon, scale) * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(mask, [fine], (1.0,), shift=SUBPIXEL_BITS)
    width = 2 * GROWTH * scale + 1
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    faded = cv2.GaussianBlur(grown, (0, 0), FADING * scale, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(faded, np.float32)


def _enlarged(polygon: Polygon, scale: int) -> Polygon:
    return scale * (polygon + np.float32(0.5)) - np.float32(0.5)  # pixels grow around their centres


def _blend(text: Image, lines: Sequence[Polygon], place: Image, scale: int) -> None:
    """Blend `text` into `place`, a view of the enlarged image, on the lines."""
    if lines:
        mask = text_mask(place.shape[:2], lines, scale)
        place += mask[..., np.newaxis] * (_tone_matched(text, place, mask) - place)


def _regions(
    size: tuple[int, int], polygons: Sequence[Polygon]
) -> Iterator[tuple[Box, list[Polygon]]]:
    """Yield regions of polygons whose surroundings touch, with their context."""
    boxes = [_box(polygon, size) for polygon in polygons]
    usable = [
        (box, polygon)
        for box, polygon in zip(boxes, polygons, strict=True)
        if cv2.contourArea(polygon) >= MIN_AREA and all(side.start < side.stop for side in box)
    ]
    painted = np.zeros(size, np.uint8)
    for box, _ in usable:
        painted[box] = 1
    count, labels, places, _ = cv2.connectedComponentsWithStats(painted)
    for label in range(1, count):
        left, top, width, height = places[label][:4]
        rows = _side(top - CONTEXT, top + height + CONTEXT, size[0])
        columns = _side(left - CONTEXT, left + width + CONTEXT, size[1])
        near = [polygon for box, polygon in usable if labels[box][0, 0] == label]
        yield (rows, columns), near


def _box(polygon: Polygon, size: tuple[int, int]) -> Box:
    """Return the box around a polygon and its fading, inside the image."""
    least, most = np.floor(polygon.min(0)) - REACH, np.ceil(polygon.max(0)) + REACH + 1
    return _side(least[1], most[1], size[0]), _side(least[0], most[0], size[1])


def _side(start: float, stop: float, length: int) -> slice:
    return slice(max(0, int(start)), min(length, int(stop)))


def _tone_matched(text: Image, whole: Image, mask: Plane) -> Image:
    """Return the text with its colours shifted by one offset that matches the image where the mask fades."""
    weight = (mask * (1 - mask))[..., np.newaxis]
    offset = (weight * (whole - text)).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    return text + np.asarray(offset, np.float32)
