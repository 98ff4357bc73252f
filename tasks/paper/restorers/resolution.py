"""Restore a photo at the resolution that it really has, by nets that enlarge four times.

A photo that is twice as soft as its pixels could show is shrunk by two, enlarged by four and comes
back at its own size. Nothing that it holds is lost on the way, work and memory are bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from storage.photos import Image
from tasks.imaging.evidence import edge_sigma, views_of
from tasks.imaging.light import luma
from tasks.paper.restorers.colour_fix import resized
from tasks.paper.restorers.overlap import by_overlapping_tiles

NETS_SCALE = 4
"""What InvSR and Real-ESRGAN enlarge by."""
SHRINK_PER_SIGMA = 1.7
"""By which a photo can be shrunk for each pixel of sigma of its sharpest edges. Of 9 photos, each
as it is and blurred in five ways, all but 2 came back from that with 42 dB or more."""
MAX_PIXELS = 6_000_000
"""Of a shrunk photo: InvSR takes some 1,500 patches for it."""
TILE_PIXELS, OVERLAP = 512, 64
"""Of what a net is given at once, in pixels of the shrunk photo."""


@dataclass(frozen=True)
class Resolution:
    """How a photo is taken to the nets and back."""

    shrink: float
    """Times by which it is shrunk before; from 1 to 4."""
    scale: int
    """Times the photo's size that the result has."""

    def restored(self, image: Image, enlarge: Callable[[Image], Image]) -> Image:
        """Shrink an image, (H, W, 3) in [0, 1], let a net enlarge it, and give it its size."""
        if self.shrink == 1 and self.scale == NETS_SCALE:
            return enlarge(image)
        height, width = image.shape[:2]
        small = resized(image, (self._shrunk(height), self._shrunk(width)))
        return resized(enlarge(small), (self.scale * height, self.scale * width))

    def restored_by_tiles(self, image: Image, enlarge: Callable[[Image], Image]) -> Image:
        """Do the same in overlapping tiles, so that memory does not grow with what a net holds."""
        side, overlap = (round(self.shrink * pixels) for pixels in (TILE_PIXELS, OVERLAP))
        restore = partial(self.restored, enlarge=enlarge)
        return by_overlapping_tiles(image, restore, side, overlap, self.scale)

    def _shrunk(self, side: int) -> int:
        return max(1, round(side / self.shrink))


def resolution_of(image: Image, scale: int) -> Resolution | None:
    """Estimate by how much an image can be shrunk; None if too much would be left for a net."""
    sigma = edge_sigma(views_of(luma(image)))
    shrink = float(np.clip(SHRINK_PER_SIGMA * sigma, 1, NETS_SCALE))
    height, width = image.shape[:2]
    return Resolution(shrink, scale) if height * width <= MAX_PIXELS * shrink**2 else None
