"""Try a restorer on crops of a photo: its visible change is the best measure of a degradation.

A figure of noise says little about what a person sees, and a file's quality less. What a net takes
away at native size says both how much there is, and how visible mending would be.
"""

import numpy as np

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.guard import judge
from tasks.imaging import parallel
from tasks.imaging.crops import corners
from tasks.imaging.light import Plane
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.imaging.visibility import SHARE, block_changes, most_changed
from tasks.lite.restorers import LOW_SIGMA, removed
from tasks.lite.tiled_net import TRIAL_SIDE

NOISE_SHARE = 0.5
"""Share of the blocks that counts for noise: it covers more of a photo than weak texture does."""
MAX_CROPS = 4
"""Most crops that are tried: at most 0.6 megapixels of any photo."""


def visible_removal(image: Image, kind: Degradation, jpeg_quality: int | None = None) -> float:
    """Return how visible it would be to remove a degradation, in CIEDE2000; 0 for no change.

    Square crops are spread over the photo. The most changed quarter of the blocks of all crops
    counts, for noise the half. What the guard refuses is no change.
    """

    def changes(crop: Image) -> Plane:
        mended = with_low_frequencies_of(crop, removed(crop, kind, jpeg_quality), LOW_SIGMA)
        return block_changes(crop, judge(crop, mended, Category.SUPER_RESOLUTION).image)

    share = NOISE_SHARE if kind is Degradation.NOISE else SHARE
    return most_changed(np.concatenate(parallel.each(changes, _crops(image))), share)


def _crops(image: Image) -> list[Image]:
    """Return the crops that are tried: squares of one size."""
    height, width = image.shape[:2]
    side = min(TRIAL_SIDE, height, width)
    return [
        np.ascontiguousarray(image[top : top + side, left : left + side])
        for top, left in corners(height, width, side, MAX_CROPS)
    ]
