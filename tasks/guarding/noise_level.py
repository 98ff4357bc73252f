"""Estimate the noise of a photo for each brightness, from its flattest blocks.

A sensor's noise depends on the light: Foi et al., "Practical Poissonian-Gaussian noise modeling and
fitting for single-image raw-data", 2008.
"""

from dataclasses import dataclass

import numpy as np

from tasks.guarding.blocks import Maps, band, blurred, by_strips
from tasks.imaging.light import Plane

LEVELS = 8
"""Ranges of brightness whose noise is estimated separately."""
FLATTEST, EXCESS = 5, 1.2
"""Percentile of the energies of a range's blocks, and the times of it that count as noise."""
MAX_NOISE, MIN_DEVIATION = 7 / 255, 0.1 / 255
"""Largest deviation of the structure that can be noise, and the one below which a block is clipped."""
MAX_COARSENESS = 4.0
"""Largest ratio of the structure's energy to that of the finest detail, in noise: real noise of two
cameras has up to 3.8, what is blurred much more."""
MIN_BLOCKS = 8
"""Fewest blocks of a range; the noise of a range with fewer is interpolated."""


@dataclass(frozen=True)
class Noise:
    """A photo's structure and noise, for each block."""

    structure: Plane
    """The energy of the structure (`band`), with the noise."""
    energy: Plane
    """The part of it that is noise."""


def noise_of(plane: Plane) -> Noise:
    """Estimate the noise of a photo's brightness."""
    energies, fine, means = by_strips(_energies_and_mean, plane)
    noise = np.minimum(_flattest(energies, means), MAX_COARSENESS * _flattest(fine, means))
    return Noise(energies, np.minimum(noise, np.float32(MAX_NOISE**2)))


def _flattest(energies: Plane, means: Plane) -> Plane:
    """Return the energy of the flattest blocks that are as bright as each block."""
    ranges = np.clip((means * LEVELS).astype(int), 0, LEVELS - 1)
    ranges[energies < MIN_DEVIATION**2] = -1
    known = [level for level in range(LEVELS) if (ranges == level).sum() >= MIN_BLOCKS]
    if not known:
        return np.full_like(energies, EXCESS * np.percentile(energies, FLATTEST))
    values = [EXCESS * np.percentile(energies[ranges == level], FLATTEST) for level in known]
    middles = [(level + 0.5) / LEVELS for level in known]
    return np.asarray(np.interp(means, middles, values), np.float32)


def _energies_and_mean(strip: Plane) -> Maps:
    structure, fine = band(strip), strip - blurred(strip, 0.8)
    return structure * structure, fine * fine, strip
