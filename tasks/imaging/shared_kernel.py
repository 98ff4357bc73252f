"""Find the kernel of a movement that several crops of a photo share.

A kernel that is estimated from a crop alone may come from the scene. The camera's movement is the
same in all crops, the scene is not.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np

from tasks.imaging import parallel
from tasks.imaging.blind_kernel import kernel_of, pruned
from tasks.imaging.light import Plane

SIDE = 45
"""Side of a kernel in pixels."""
CROP, CROPS = 400, 3
"""Side of a crop in pixels, and number of crops: fewer pixels made kernels of 40 photos unstable."""
PLACES = 8
"""Places along each side of the photo at which a crop is considered."""
MAX_OVERLAPS = (0.3, 0.5)
"""Largest shares of a crop that another may contain; the larger one only if more crops fit so. Two
crops of one scene may agree on a wrong kernel."""
ALIKE = 0.9
"""Smallest correlation with the most typical kernel of one that is averaged into the result."""
STEP_LIMIT = 0.05
"""Larger steps do not add to the detail of a crop: one bright light is no detail."""


class SharedKernel(NamedTuple):
    """The kernel of a photo's movement."""

    kernel: Plane
    """Odd sides, sum 1, the middle of its extent in the middle."""
    agreement: float
    """Correlation of the two crops' kernels that agree best, aligned."""


def shared_kernel(plane: Plane) -> SharedKernel | None:
    """Estimate the kernel of a brightness plane in [0, 1], any H and W from 64 pixels.

    Return None if the photo is too small for two crops, which could agree.
    """
    views = trial_crops(plane)
    if len(views) == 1:
        return None
    kernels = parallel.each(lambda view: kernel_of(view, SIDE), cut(plane, views))
    agreement = max(_aligned(*pair)[0] for pair in combinations(kernels, 2))
    return SharedKernel(_boxed(_average(kernels)), agreement)


def trial_crops(plane: Plane) -> list[tuple[slice, slice]]:
    """Return the rows and columns of the most detailed crops that overlap little, at least one."""
    side = min(CROP, *plane.shape)
    starts = [np.unique(np.linspace(0, length - side, PLACES, dtype=int)) for length in plane.shape]
    found = [(int(top), int(left)) for top in starts[0] for left in starts[1]]
    detail = {at: _detail(plane[at[0] : at[0] + side, at[1] : at[1] + side]) for at in found}
    found.sort(key=detail.__getitem__, reverse=True)
    choices = (_apart(first, found, side, most) for most in MAX_OVERLAPS for first in found)
    kept = max(choices, key=len)
    return [(slice(top, top + side), slice(left, left + side)) for top, left in kept]


def cut(plane: Plane, views: Sequence[tuple[slice, slice]]) -> list[Plane]:
    """Return a copy of each crop of a plane."""
    return [np.ascontiguousarray(plane[view]) for view in views]


def _detail(view: Plane) -> float:
    smooth = cv2.GaussianBlur(view, (0, 0), 1.5)
    steps = (np.minimum(np.abs(np.diff(smooth, axis=axis)), STEP_LIMIT).mean() for axis in (0, 1))
    return float(sum(steps))


def _apart(
    first: tuple[int, int], others: Sequence[tuple[int, int]], side: int, most: float
) -> list[tuple[int, int]]:
    """Return `first` and those of the others, in order, that overlap none of them by more."""
    kept = [first]
    for at in others:
        if len(kept) < CROPS and all(_overlap(at, other, side) <= most for other in kept):
            kept.append(at)
    return kept


def _overlap(one: tuple[int, int], other: tuple[int, int], side: int) -> float:
    down, right = (max(0, side - abs(a - b)) for a, b in zip(one, other, strict=True))
    return down * right / side**2


def _aligned(one: Plane, other: Plane) -> tuple[float, Plane]:
    """Return the largest correlation of two kernels over all shifts, and `other` so shifted."""
    soft, moving = (cv2.GaussianBlur(kernel, (0, 0), 1) for kernel in (one, other))
    reach = one.shape[0] // 2
    frame = cv2.copyMakeBorder(soft, *4 * (reach,), cv2.BORDER_CONSTANT)
    _, highest, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(frame, moving, cv2.TM_CCORR))
    norms = float(np.linalg.norm(soft)) * float(np.linalg.norm(moving))
    return highest / norms, _shifted(other, y - reach, x - reach)


def _average(kernels: Sequence[Plane]) -> Plane:
    """Return the mean of the kernels that resemble the most typical one, aligned to it."""
    rows = [[_aligned(one, other) for other in kernels] for one in kernels]
    typical = max(rows, key=lambda row: sorted(alike for alike, _ in row)[-2:])
    return pruned(np.mean([kernel for alike, kernel in typical if alike >= ALIKE], 0))


def _boxed(kernel: Plane) -> Plane:
    """Move a kernel so that the middle of its extent is in the middle."""
    rows, columns = np.nonzero(kernel > 0)
    middle = kernel.shape[0] // 2
    down, right = (middle - int(axis.min() + axis.max() + 1) // 2 for axis in (rows, columns))
    return _shifted(kernel, down, right)


def _shifted(kernel: Plane, down: int, right: int) -> Plane:
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(kernel, shift, kernel.shape[::-1]), np.float32)
