"""Restore a photo at its effective resolution, by nets that enlarge four times.

A photo that is twice as soft as its pixels allow is shrunk by two, enlarged by four, and resized to
its own size. No detail is lost by the shrinking.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.photos import Image
from tasks.imaging.evidence import edge_sigma, views_of
from tasks.imaging.light import luma
from tasks.paper.restorers.colour_fix import resized
from tasks.paper.restorers.overlap import Place, by_overlapping_tiles

NETS_SCALE = 4
"""Factor by which InvSR and Real-ESRGAN enlarge."""
SHRINK_PER_SIGMA = 1.7
"""Factor by which a photo can be shrunk for each pixel of sigma of its sharpest edges. Measured on 9
photos, each with six blurs: shrinking and enlarging kept 42 dB in all but 2 cases."""
MAX_PIXELS = 6_000_000
"""Most pixels of a shrunk photo: about 1,500 patches of InvSR."""
TILE_PIXELS, OVERLAP = 512, 64
"""Side and overlap of the nets' tiles, in pixels of the shrunk photo."""


@dataclass(frozen=True)
class Resolution:
    """How a photo is resized before and after the nets."""

    shrink: float
    """Factor by which the photo is shrunk first, 1 to 4."""
    scale: int
    """Factor between the sides of the photo and of the result."""

    def restored(self, image: Image, enlarge: Callable[[Image], Image]) -> Image:
        """Shrink an image, (H, W, 3) in [0, 1], enlarge it by a net, and resize it by `scale`."""
        if self.shrink == 1 and self.scale == NETS_SCALE:
            return enlarge(image)
        height, width = image.shape[:2]
        small = resized(image, (self._shrunk(height), self._shrunk(width)))
        return resized(enlarge(small), (self.scale * height, self.scale * width))

    def restored_by_tiles(self, image: Image, enlarge: Callable[[Image, Place], Image]) -> Image:
        """Do the same in overlapping tiles, so that a net's memory is bounded.

        `enlarge` also gets the place of a tile, so that its noise is not that of another tile.
        """
        side, overlap = (round(self.shrink * pixels) for pixels in (TILE_PIXELS, OVERLAP))

        def restore(tile: Image, place: Place) -> Image:
            return self.restored(tile, lambda small: enlarge(small, place))

        return by_overlapping_tiles(image, restore, side, overlap, self.scale)

    def pixels(self, image: Image) -> int:
        """Return the number of pixels of the shrunken image."""
        return self._shrunk(image.shape[0]) * self._shrunk(image.shape[1])

    def _shrunk(self, side: int) -> int:
        return max(1, round(side / self.shrink))


def resolution_of(image: Image, scale: int) -> Resolution | None:
    """Return the resolution of an image; None if it is too large for a net after shrinking."""
    sigma = edge_sigma(views_of(luma(image)))
    shrink = float(np.clip(SHRINK_PER_SIGMA * sigma, 1, NETS_SCALE))
    height, width = image.shape[:2]
    return Resolution(shrink, scale) if height * width <= MAX_PIXELS * shrink**2 else None
