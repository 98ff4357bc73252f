"""Shifts of colour: of the whole photo, of blocks, of low frequencies, of dark and clipped parts."""

from dataclasses import dataclass

import cv2
import numpy as np

from storage.photos import Image
from tasks.guarding.blocks import Maps, blurred, by_strips
from tasks.imaging.light import Plane, luma

MAX_DARK, MIN_CLIPPED = 0.12, 0.98
"""Largest brightness of dark parts, and smallest value of the largest channel of clipped ones."""
MIN_SHARE = 0.1
"""Smallest dark or clipped share of a block that is measured."""
LOW_BLOCK = 128
"""Side in pixels of the blocks that stand for low frequencies."""
SMALL, SURROUNDINGS = 3.0, 8.0
"""Blurs in pixels, standard deviations, between which the size of small objects lies."""
MEAN_BLOCK = 64
"""Side in pixels of the blocks whose means are compared."""


@dataclass(frozen=True)
class PartShifts:
    """Shifts of the hue in parts of the blocks, of 255, beyond the photo's noise there."""

    dark: Plane
    clipped: Plane


def mean_shifts(before: Image, after: Image) -> Image:
    """Return the shift of each channel's mean, of 255, shape (1, 1, 3)."""
    old, new = (np.array(cv2.mean(image)[:3]) for image in (before, after))
    return np.asarray(255 * (new - old), np.float32).reshape(1, 1, 3)


def block_shifts(before: Image, after: Image, side: int) -> Image:
    """Return the shifts of the means of blocks of `side` pixels, of 255, shape (h, w, 3)."""
    size = (max(1, before.shape[1] // side), max(1, before.shape[0] // side))
    means = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (before, after)]
    return np.asarray(255 * (means[1] - means[0]), np.float32).reshape(*size[::-1], 3)


def part_shifts(before: Image, after: Image) -> PartShifts:
    """Return how the hue of dark and of clipped parts shifted, in the blocks of a half-size copy.

    Noise that is clipped at black or white shifts a hue, which its removal undoes.
    """
    size = (before.shape[1] + 1) // 2, (before.shape[0] + 1) // 2
    halves = [
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
        for image in (before, after)
    ]
    sums = by_strips(_sums, *halves)
    return PartShifts(_beyond_noise(*sums[:5]), _beyond_noise(*sums[5:]))


def colour_lost(before: Image, after: Image) -> Plane:
    """Return the deviation of colour of small objects that each block lost, of 255.

    Noise that is averaged over some pixels is weak, objects are not.
    """
    old, new = by_strips(_hue_energies, before, after)
    return np.asarray(255 * np.sqrt(np.maximum(old - new, 0)), np.float32)


def _hue_energies(before: Image, after: Image) -> Maps:
    return _hue_energy(before), _hue_energy(after)


def _hue_energy(image: Image) -> Plane:
    """Return the largest energy of the hues, less those of their surroundings, (H, W)."""
    hues = image - luma(image)[..., None]
    detail = cv2.GaussianBlur(hues, (0, 0), SMALL) - cv2.GaussianBlur(hues, (0, 0), SURROUNDINGS)
    return np.asarray(np.square(detail).max(2), np.float32)


def _sums(before: Image, after: Image) -> Maps:
    brightness = luma(before)
    red, green, blue = cv2.split(after - before)
    grey = (red + green + blue) / 3
    noise = np.square(brightness - blurred(brightness, 1))
    largest = cv2.max(cv2.max(before[..., 0], before[..., 1]), before[..., 2])
    parts = (brightness < MAX_DARK, largest > MIN_CLIPPED)
    masks = [part.astype(np.float32) for part in parts]
    return tuple(
        np.asarray(plane * mask, np.float32)
        for mask in masks
        for plane in (np.float32(1), noise, red - grey, green - grey, blue - grey)
    )


def _beyond_noise(share: Plane, noise: Plane, *hues: Plane) -> Plane:
    weight = np.maximum(share, MIN_SHARE)
    shift = np.max(np.abs(hues), axis=0) / weight - np.sqrt(noise / weight)
    return np.asarray(255 * np.maximum(shift, 0) * (share >= MIN_SHARE), np.float32)
