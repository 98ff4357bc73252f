"""Texture: structure of the photo that the result lacks, or that it has otherwise.

What a good restorer removes is noise, which is alike in flat and in textured places and is not
correlated with what stays (the residual of a Bayesian estimate is orthogonal to it). What removes
texture leaves a residual with the photo's structure: the "method noise" of Buades et al., "A review
of image denoising algorithms", 2005, section 2. Detail that is gained has the other sign and does
not count.
"""

import math
from dataclasses import dataclass

import numpy as np

from tasks.guarding.blocks import INVISIBLE, Maps, band, by_strips
from tasks.guarding.noise_level import Noise
from tasks.imaging.evidence import blockiness, views_of
from tasks.imaging.light import Plane

STRONG_BLOCKS = (0.6, 1.1)
"""Steps at the borders of JPEG blocks, of 255, times the same relative to the photo's mean step,
between which the loss is allowed that undoing them brings: quality 8 to 20 has about
0.8 and more, quality 75 at most 0.8."""
NOISE_SHARE = 2.0
"""Times the estimated noise of its brightness that a block may hold."""
MIN_BLOCKS = 64
"""Fewest blocks of a photo that is called noisy everywhere: small photos are full of objects."""
EVEN_PERCENT, EVEN_NOISE, ALLOWANCE = 20, (1.0 / 255, 1.8 / 255), 0.35
"""A photo is noisy everywhere if this percentile of the deviations that its blocks lose is between
these two values or above. Strong noise hides texture, so up to this share of it may be lost."""


@dataclass(frozen=True)
class Texture:
    """What became of the structure of each block."""

    lost: Plane
    """Share of the structure's energy that is lost, 0 to 1, less what is allowed."""
    removed: Plane
    """Correlation of what was removed with what stays, -1 to 1, less what is allowed; 0 for
    noise."""
    unlike: Plane
    """1 less the correlation of the structure before and after, 0 to 2; 0 where there is none."""
    allowed: float
    """Share of texture that may be lost, because the whole photo is noisy or has strong blocks."""


def texture(before: Plane, after: Plane, noise: Noise) -> Texture:
    """Compare the structure of a photo's brightness before and after."""
    blocks = ALLOWANCE * float(
        np.interp(math.prod(blockiness(views_of(before))), STRONG_BLOCKS, (0, 1))
    )
    left, removed, together, both = by_strips(_moments, before, after)
    structure = np.maximum(noise.structure - NOISE_SHARE * noise.energy, 0)
    lost = np.maximum(structure - left, 0) / (structure + INVISIBLE**2)
    norm = (left + INVISIBLE**2) * (removed + (INVISIBLE / 2) ** 2)
    own = np.maximum(noise.structure - noise.energy, INVISIBLE**2) * (left + 1e-9)
    unlike = np.where(structure > INVISIBLE**2, 1 - both / np.sqrt(own), 0)
    allowed = max(blocks, _allowed(removed))
    return Texture(
        np.asarray(lost - allowed, np.float32),
        np.asarray(together / np.sqrt(norm) - allowed, np.float32),
        np.asarray(unlike.clip(0, 2), np.float32),
        allowed,
    )


def _allowed(removed: Plane) -> float:
    """Return the loss of texture that is allowed where the energy `removed` of blocks is even."""
    if removed.size < MIN_BLOCKS:
        return 0.0
    least = math.sqrt(max(0.0, float(np.percentile(removed, EVEN_PERCENT))))
    return ALLOWANCE * float(np.interp(least, EVEN_NOISE, (0, 1)))


def _moments(before: Plane, after: Plane) -> Maps:
    old, new = band(before), band(after)
    removed = old - new
    return new * new, removed * removed, removed * new, old * new
