"""Texture: structure of the photo that the result lacks, or that it has otherwise.

What a good restorer removes is noise, which is alike in flat and in textured places and is not
correlated with what stays (the residual of a Bayesian estimate is orthogonal to it). What removes
texture leaves a residual with the photo's structure: the "method noise" of Buades et al., "A review
of image denoising algorithms", 2005, section 2. Detail that is gained has the other sign and does
not count.
"""

from dataclasses import dataclass

import numpy as np

from tasks.guarding.blocks import Maps, band, by_strips
from tasks.guarding.noise_level import Noise
from tasks.imaging.light import Plane

NOISE_SHARE = 2.0
"""Times the estimated noise of its brightness that a block may hold."""
INVISIBLE = 1.5 / 255
"""Deviation of structure that nobody sees."""
STRONG_NOISE, ALLOWANCE = (2.5 / 255, 5 / 255), 0.22
"""Deviations of what is removed between which some correlation is allowed, and how much: under
strong noise texture cannot be saved whole."""


@dataclass(frozen=True)
class Texture:
    """What became of the structure of each block."""

    lost: Plane
    """Share of the structure's energy that is lost, 0 to 1."""
    removed: Plane
    """Correlation of what was removed with what stays, -1 to 1, less `ALLOWANCE` under strong
    noise; 0 for noise."""
    unlike: Plane
    """1 less the correlation of the structure before and after, 0 to 2; 0 where there is none."""


def texture(before: Plane, after: Plane, noise: Noise) -> Texture:
    """Compare the structure of a photo's brightness before and after."""
    left, removed, together, both = by_strips(_moments, before, after)
    structure = np.maximum(noise.structure - NOISE_SHARE * noise.energy, 0)
    lost = np.maximum(structure - left, 0) / (structure + INVISIBLE**2)
    norm = (left + INVISIBLE**2) * (removed + (INVISIBLE / 2) ** 2)
    own = np.maximum(noise.structure - noise.energy, INVISIBLE**2) * (left + 1e-9)
    unlike = np.where(structure > INVISIBLE**2, 1 - both / np.sqrt(own), 0)
    allowed = ALLOWANCE * np.interp(np.sqrt(removed), STRONG_NOISE, (0, 1))
    return Texture(
        lost.astype(np.float32),
        np.asarray(together / np.sqrt(norm) - allowed, np.float32),
        np.asarray(unlike.clip(0, 2), np.float32),
    )


def _moments(before: Plane, after: Plane) -> Maps:
    old, new = band(before), band(after)
    removed = old - new
    return new * new, removed * removed, removed * new, old * new
