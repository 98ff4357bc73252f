"""Category B, figure 3 of the paper: paint over strong reflections, reduce weak ones.

A file that was compressed after the photo was taken has blocks; they are removed first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.photos import Image
from tasks.chains import Restorer
from tasks.imaging.light import Plane
from tasks.receipt import Receipt
from tasks.verdict import Verdict


@dataclass(frozen=True)
class Reflection:
    """Removes blocks, paints over strong reflections, then reduces the rest."""

    find_strong: Callable[[Image], Plane]
    """Image → mask (H, W), at least 0.5 where a reflection hides the scene."""
    inpaint: Callable[[Image, Plane], Image]
    reduce_weak: Restorer | None
    """None if no network can reduce them."""
    strength: float = 1.0
    """Share of a weak reflection that is removed, 0 to 1."""
    detectors: tuple[str, ...] = ()
    """Files of the detectors, for the receipt."""
    remove_blocks: Restorer | None = None
    """None if blocks are left; else image → image, unchanged if the verdict asks for nothing."""
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        if self.remove_blocks is not None:
            with receipt.step("remove blocks") as facts:
                before, image = image, self.remove_blocks(image, verdict)
                facts["changed"] = image is not before
        with receipt.step("find strong reflections", detectors=list(self.detectors)) as facts:
            mask = self.find_strong(image)
            facts["masked_share"] = round(float((mask >= 0.5).mean()), 4)
        if (mask >= 0.5).any():
            with receipt.step("inpaint strong reflections"):
                image = self.inpaint(image, mask)
            receipt.generative = True
        if self.reduce_weak is None:
            return image
        with receipt.step("reduce weak reflections", strength=self.strength):
            return _blended(image, self.reduce_weak(image, verdict), self.strength)


def nothing_hidden(image: Image) -> Plane:
    """Return an empty mask, for a chain that finds no strong reflections."""
    return np.zeros(image.shape[:2], np.float32)


def unpainted(image: Image, mask: Plane) -> Image:
    """Return the image as it is, for a chain that paints nothing."""
    return image


def _blended(image: Image, reduced: Image, strength: float) -> Image:
    return reduced if strength == 1 else image + np.float32(strength) * (reduced - image)
