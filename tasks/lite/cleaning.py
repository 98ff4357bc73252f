"""Remove compression and noise from an image, and sharpen it, by trained nets.

The last degradation is removed first: the file's compression, the sensor's noise, the lens's blur.
"""

import numpy as np

from storage.enums import Degradation
from storage.photos import Image
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.limits import MIN_SEVERITY, MIN_SEVERITY_BESIDE
from tasks.lite.restorers import LOW_SIGMA, removed
from tasks.verdict import Verdict

ORDER = (Degradation.COMPRESSION, Degradation.NOISE, Degradation.SOFTNESS)
SHARE_BESIDE_BLOCKS = 0.5
"""Share of the sharpening of a photo that also has blocks, which look soft; chosen on 12 photos
(`docs/experiments.md`)."""


def clean(image: Image, verdict: Verdict) -> Image:
    """Remove compression, noise and softness from an image: each whose severity is high enough.

    A noisy photo is not sharpened, because that brings back what is left of the noise.
    """
    severities = verdict.severities
    limits = MIN_SEVERITY | MIN_SEVERITY_BESIDE
    treated = [kind for kind in ORDER if severities[kind] >= limits[kind]]
    cleaned = image
    for kind in treated:
        if kind is not Degradation.SOFTNESS:
            cleaned = removed(cleaned, kind, verdict.jpeg_quality)
    if Degradation.SOFTNESS in treated and Degradation.NOISE not in treated:
        sharp = removed(cleaned, Degradation.SOFTNESS)
        share = SHARE_BESIDE_BLOCKS if Degradation.COMPRESSION in treated else 1.0
        cleaned = cleaned + np.float32(share) * (sharp - cleaned)
    return with_low_frequencies_of(image, cleaned, LOW_SIGMA)
