"""Ringing and seams: what the change itself made in places that were flat in the photo.

Stripes, echoes, amplified noise and noise that is subtracted twice all leave there a result that is
correlated with the change; it need not be periodic. Ringing of deconvolution: Yuan et al.,
"Progressive inter-scale and intra-scale non-blind image deconvolution", 2008, section 1.
"""

from functools import partial

import cv2
import numpy as np

from tasks.guarding.blocks import BLOCK, Maps, blurred, by_strips, spread
from tasks.guarding.noise_level import Noise
from tasks.imaging.light import Plane

SCALE = 15
"""Side in pixels of the mean that is subtracted before measuring: ringing is finer."""
FLAT, NOISE_SHARE = 2.5 / 255, 2.0
"""Largest deviation of flat surroundings, or the largest energy in times of the noise's."""
MIN_SHARE = 0.1
"""Smallest flat share of a block that is measured."""
DEVIATIONS, INDEPENDENT = 2.0, 0.25
"""Standard deviations of a correlation by chance that are left out, and the share of a block's pixels
that are independent."""
NEIGHBOURS = 7
"""Side, in blocks, of the surroundings whose flat places stand for a block that has none."""
NEAR_CLIPPED = 1 / 255
"""Distance from black and white within which a photo is clipped, not flat."""
MAX_SIDE = 1536
"""Largest side in pixels of the part of a photo in which seams are looked for: three tiles."""
SEGMENT, STEP, AROUND = 64, 4, 21
"""Pixels along a seam that are averaged, pixels on each side of it, and the number of neighbouring
lines that it is compared with."""
MIN_FLAT = 0.5
"""Smallest flat share of the pixels along a seam."""
NOISE_STEP = 0.1
"""Step of a line that a change without seams makes, as a share of the change's deviation."""


def ringing(before: Plane, after: Plane, noise: Noise, surroundings: int) -> Plane:
    """Return for each block the deviation that was made in its flat places, of 255.

    Flat is what differs little within a square of `surroundings` pixels, at most 61. A block
    without flat places has the value of those around it.
    """
    together, changes, results, flat = by_strips(
        partial(_made, surroundings), before, after, _limits(noise, before)
    )
    chance = np.sqrt(changes * results / (INDEPENDENT * BLOCK**2 * np.maximum(flat, MIN_SHARE)))
    made = np.maximum(together - DEVIATIONS * chance, 0) * (flat >= MIN_SHARE)
    measured = np.asarray(flat * (flat >= MIN_SHARE), np.float32)
    near, weight = (
        cv2.GaussianBlur(each, (NEIGHBOURS, NEIGHBOURS), 0, borderType=cv2.BORDER_REFLECT)
        for each in (np.asarray(made, np.float32), measured)
    )
    own = made / np.maximum(measured, MIN_SHARE)
    guessed = near / np.maximum(weight, 1e-6) * (weight > 1e-3)
    return np.asarray(255 * np.sqrt(np.where(measured > 0, own, guessed)), np.float32)


def _limits(noise: Noise, plane: Plane) -> Plane:
    """Return the energy up to which each pixel of a plane is flat."""
    energy = np.maximum(np.float32(FLAT**2), np.float32(NOISE_SHARE) * noise.energy)
    return spread(energy, plane.shape)


def _flat(plane: Plane, limit: Plane, surroundings: int) -> Plane:
    """Return 1 where a plane is flat, else 0."""
    smooth, size = blurred(plane, 1), (surroundings, surroundings)
    variance = cv2.blur(smooth * smooth, size) - cv2.blur(smooth, size) ** 2
    unclipped = (plane > NEAR_CLIPPED) & (plane < 1 - NEAR_CLIPPED)
    return np.asarray((variance < limit) & unclipped, np.float32)


def _made(surroundings: int, before: Plane, after: Plane, limit: Plane) -> Maps:
    flat, change = _flat(before, limit, surroundings), after - before
    size = (SCALE, SCALE)
    change, result = change - cv2.blur(change, size), after - cv2.blur(after, size)
    return change * result * flat, change * change * flat, result * result * flat, flat


def seam(before: Plane, after: Plane, noise: Noise, surroundings: int) -> float:
    """Return the largest step of the change along a straight line through flat places, of 255.

    Of a large photo, the middle is measured.
    """
    top, left = (max(0, (side - MAX_SIDE) // 2) for side in before.shape)
    middle = slice(top, top + MAX_SIDE), slice(left, left + MAX_SIDE)
    flat = _flat(before[middle], _limits(noise, before)[middle], surroundings)
    before = np.ascontiguousarray(before[middle])
    change = after[middle] - before
    grain = float(np.sqrt(np.mean(np.square(change * flat)) / max(float(flat.mean()), 1e-3)))
    steps = [
        _line_step(change, before, flat),
        _line_step(change.T, before.T, flat.T),
    ]
    return 255 * max(0.0, max(steps) - NOISE_STEP * grain)


def _line_step(change: Plane, before: Plane, flat: Plane) -> float:
    """Return the largest step between two columns, beyond the photo's and those around it."""
    if change.shape[0] < 2 * SEGMENT or change.shape[1] < AROUND + STEP:
        return 0.0
    steps, own = _steps(change, flat), _steps(before, flat)
    columns = np.flatnonzero(np.isfinite(steps).sum(0) >= 2)
    if len(columns) < AROUND:
        return 0.0
    profile, photo = (_beyond_usual(each[:, columns]) for each in (steps, own))
    near = cv2.dilate(photo[None], np.ones((1, AROUND), np.uint8))[0]
    return float((profile - near).max())


def _beyond_usual(steps: Plane) -> Plane:
    """Return the median step of each column beyond that of the columns around it."""
    profile = np.nanmedian(steps, axis=0)
    padded = np.pad(profile, AROUND // 2, mode="reflect")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, AROUND), axis=1)
    return np.asarray(np.maximum(profile - usual, 0), np.float32)


def _steps(plane: Plane, flat: Plane) -> Plane:
    """Return the step at each column in each segment of rows; NaN where it is not flat."""
    rows = plane.shape[0] // SEGMENT
    size = (plane.shape[1], rows)
    kept = rows * SEGMENT
    total, weight = (
        cv2.resize(np.ascontiguousarray(each[:kept]), size, interpolation=cv2.INTER_AREA)
        for each in (plane * flat, flat)
    )
    mean = cv2.blur(total, (STEP, 1)) / np.maximum(cv2.blur(weight, (STEP, 1)), 1e-3)
    steps = np.abs(mean[:, STEP:] - mean[:, :-STEP])
    steps[weight[:, STEP // 2 : -STEP // 2] < MIN_FLAT] = np.nan
    return np.asarray(steps, np.float32)
