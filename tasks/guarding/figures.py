"""Measure all figures that a category has limits for."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from storage.enums import Category
from storage.photos import Image
from tasks.guarding import coherence, colours, flat_places, scene
from tasks.guarding.blocks import grid_shape
from tasks.guarding.faces import faces_changed
from tasks.guarding.limits import FLAT_SURROUNDINGS, OVERSHOOT_REACH
from tasks.guarding.noise_level import Noise, noise_of
from tasks.guarding.overshoot import overshoot
from tasks.guarding.text import strokes_changed
from tasks.guarding.texture import texture
from tasks.imaging.light import Plane, luma

COLOUR_ALLOWANCE = 18.0
"""Deviation of colour, of 255, that may be lost for each share of texture that may be lost."""


@dataclass(frozen=True)
class Views:
    """What all figures are measured on: a photo and its result, of one size."""

    before: Image
    after: Image
    category: Category
    text: Plane | None
    """1 on text, shape (H, W); None if nobody looked for it."""
    planes: tuple[Plane, Plane]
    """The brightness before and after."""
    noise: Noise


def views(before: Image, after: Image, category: Category, text: Plane | None) -> Views:
    """Prepare a photo and its result for the figures."""
    old, new = luma(before), luma(after)
    return Views(before, after, category, text, (old, new), noise_of(old))


def of_whole(seen: Views) -> dict[str, float]:
    """Return the figures of the whole photo."""
    before, after, category = seen.before, seen.after, seen.category
    old, new = seen.planes
    size = _size(category)
    low = size(colours.block_shifts(before, after, colours.LOW_BLOCK))
    figures = {
        "mean_shift": float(size(colours.mean_shifts(before, after)).max()),
        "low_shift": float(np.sqrt(np.square(low).mean())),
    }
    compared = coherence.compare(old, new)
    figures |= {"unexplained": compared.unexplained, "repaired": compared.repaired}
    if category is Category.REFLECTION:
        return figures | {
            "light_left": scene.light_left(old, new),
            "edges_alike": scene.edges_alike(old, new),
            "busier": scene.busier(old, new),
        }
    if category is Category.SUPER_RESOLUTION:
        figures["seam"] = flat_places.seam(old, new, seen.noise, FLAT_SURROUNDINGS[category])
    return figures


def of_blocks(seen: Views) -> dict[str, Plane]:
    """Return the figures of blocks, each a map."""
    before, after, category = seen.before, seen.after, seen.category
    old, new = seen.planes
    shifts = _size(category)(colours.block_shifts(before, after, colours.MEAN_BLOCK)).max(2)
    figures = {
        "block_shift": _enlarged(shifts, grid_shape(old)),
        "ringing": flat_places.ringing(old, new, seen.noise, FLAT_SURROUNDINGS[category]),
    }
    structure = texture(old, new, seen.noise)
    figures["texture_lost"] = structure.lost
    if category is Category.REFLECTION:
        return figures
    parts = colours.part_shifts(before, after)
    figures |= {
        "detail_removed": structure.removed,
        "texture_unlike": structure.unlike,
        "overshoot": overshoot(old, new, OVERSHOOT_REACH[category]),
        "dark_shift": _enlarged(parts.dark, grid_shape(old)),
        "clipped_shift": _enlarged(parts.clipped, grid_shape(old)),
    }
    figures["face_changed"] = faces_changed(old, new)
    if category is Category.SUPER_RESOLUTION:
        allowed = COLOUR_ALLOWANCE * structure.allowed
        figures["colour_lost"] = colours.colour_lost(before, after) - np.float32(allowed)
    if seen.text is not None and seen.text.any():
        strokes = strokes_changed(seen.text, old, new)
        figures["strokes_changed"] = strokes - np.float32(structure.allowed)
    return figures


def _size(category: Category) -> Callable[[Image], Image]:
    """Return how far a colour shifted; removing a reflection may only darken."""
    if category is Category.REFLECTION:
        return lambda shifts: np.maximum(shifts, 0)
    return np.abs


def _enlarged(grid: Plane, shape: tuple[int, int]) -> Plane:
    """Return a map of larger blocks as a map of `shape` blocks."""
    resized = cv2.resize(np.ascontiguousarray(grid), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.float32).reshape(shape)
