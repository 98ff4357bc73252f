"""Remove motion blur by a kernel that the whole photo shares, else by a trained net; each is tried.

A straight movement is measured in the cepstrum. Any other kernel is estimated from several crops.
What is made of the crops must pass `accepted`, else the photo is left alone.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from storage.photos import Image
from tasks.imaging.cepstrum import echoes
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.evidence import noise_sigma, views_of
from tasks.imaging.kernels import streak
from tasks.imaging.light import Plane, luma
from tasks.imaging.movement_checks import Checks, checks
from tasks.imaging.shared_kernel import shared_kernel, trial_crops
from tasks.imaging.sparse_deconvolution import remove_blur
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.tiled_net import TRIAL_SIDE, restored
from tasks.verdict import SMALLEST, Verdict

MIN_STRAIGHT_DEPTH = 0.02
"""Smallest depth in the cepstrum of a straight movement of the whole image; chosen on 30 photos
(`docs/experiments.md`)."""
ROUNDS = 15
LOW_SIGMA = 48.0
"""Scale in pixels above which the original's colours are kept: longer than any movement."""
MIN_AGREEMENT = 0.9
"""Smallest agreement of the kernels of several crops; chosen on 24 real and 36 made movements."""
MIN_REACH = 2.3
"""Smallest distance in pixels of the kernel's light from its middle (root mean square): a smaller
one is the blur of a lens."""
MAX_MISFIT, MAX_RIPPLE, MIN_RISE = 0.57, 1.6, 1.2
"""Limits of the figures of `Checks`."""
MAX_SPARSITY, MAX_STRAIGHT_SPARSITY = 0.95, 1.15
"""Limits of its sparsity: Richardson-Lucy deconvolution also sharpens grain."""
MIN_NET_RISE = 1.1
"""Smallest rise of the detail by the net: less is invisible, and harmed as many photos as it
gained."""
MIN_SIGMA, SIGMA_FACTOR = 1 / 255, 1.5
"""Least noise that is assumed, and factor of the measured noise: JPEG hides a part of it."""
NET = "motion"
TRIED = 2
"""Crops on which a removal is tried."""


class Removal(NamedTuple):
    """One way to remove a movement."""

    apply: Callable[[Image], Image]
    kernel: Plane
    in_light: bool
    """Whether the kernel blurs linear light instead of the values of the file."""
    max_sparsity: float


def removal(image: Image) -> Callable[[Image], Image] | None:
    """Return the first way to remove the movement of an image that passes on its crops, if any."""
    if min(image.shape[:2]) < SMALLEST:
        return None
    plane = luma(image)
    crops = [np.ascontiguousarray(image[view]) for view in trial_crops(plane)[:TRIED]]
    for way in _ways(plane):
        if all(_passes(way, crop) for crop in crops):
            return way.apply
    return _by_net if all(map(_net_sharpens, crops)) else None


def undo_movement(image: Image, verdict: Verdict) -> Image:
    """Remove the movement that the whole image shares; if none can be measured, apply the net."""
    found = removal(image) or _by_net
    return with_low_frequencies_of(image, found(image), LOW_SIGMA)


def accepted(figures: Checks | None, max_sparsity: float) -> bool:
    """Return whether a result sharpens, has no ripples, and becomes the photo if it is blurred."""
    return figures is not None and (
        figures.misfit <= MAX_MISFIT
        and figures.sparsity <= max_sparsity
        and figures.ripple <= MAX_RIPPLE
        and figures.rise >= MIN_RISE
    )


def _ways(plane: Plane) -> Iterator[Removal]:
    """Yield ways to remove the movement of a brightness plane, the most certain first."""
    _, movement = echoes(plane)
    if movement.depth >= MIN_STRAIGHT_DEPTH:
        straight = streak(movement.length + 1, movement.angle)  # the echo is one pixel shorter
        yield Removal(
            lambda image: deconvolve(image, straight, ROUNDS), straight, True, MAX_STRAIGHT_SPARSITY
        )
    found = shared_kernel(plane)
    if found and found.agreement >= MIN_AGREEMENT and _reach(found.kernel) >= MIN_REACH:
        kernel = found.kernel
        sigma = SIGMA_FACTOR * max(noise_sigma(views_of(plane)) / 255, MIN_SIGMA)
        yield Removal(lambda image: remove_blur(image, kernel, sigma), kernel, False, MAX_SPARSITY)


def _passes(way: Removal, crop: Image) -> bool:
    figures = checks(crop, way.apply(crop), way.kernel, in_light=way.in_light)
    return accepted(figures, way.max_sparsity)


def _net_sharpens(crop: Image) -> bool:
    crop = np.ascontiguousarray(crop[:TRIAL_SIDE, :TRIAL_SIDE])
    figures = checks(crop, _by_net(crop), np.ones((1, 1), np.float32), in_light=False)
    return figures is not None and (
        figures.rise >= MIN_NET_RISE and figures.sparsity <= MAX_SPARSITY
    )


def _by_net(image: Image) -> Image:
    return restored(image, NET)


def _reach(kernel: Plane) -> float:
    rows, columns = np.indices(kernel.shape)
    variances = [
        float((kernel * (axis - float((kernel * axis).sum())) ** 2).sum())
        for axis in (rows, columns)
    ]
    return float(np.sqrt(sum(variances)))
