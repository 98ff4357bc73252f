"""Category B, figure 3 of the paper: strong reflections are painted over, weak ones reduced."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.light import Plane
from tasks.receipt import Receipt
from tasks.restorers import Restorer


@dataclass(frozen=True)
class Reflection:
    """Paints over what a strong reflection hides, then reduces the rest."""

    find_strong: Callable[[Image], Plane]
    """Image → mask (H, W), 1 where a reflection hides the scene."""
    inpaint: Callable[[Image, Plane], Image]
    reduce_weak: Restorer
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("find strong reflections") as facts:
            mask = self.find_strong(image)
            facts["masked_share"] = round(float(mask.mean()), 4)
        if mask.any():
            with receipt.step("inpaint strong reflections"):
                image = self.inpaint(image, mask)
        with receipt.step("reduce weak reflections"):
            return self.reduce_weak(image, verdict)


def lite() -> Reflection:
    """Build the chain from parts that need no weights: it takes a ghost out, and paints nothing.

    What hides the scene cannot be measured, only recognised, so no mask is made.
    """
    from tasks.restorers.ghosts import remove_ghost

    return Reflection(_nothing, _untouched, remove_ghost)


def _nothing(image: Image) -> Plane:
    return np.zeros(image.shape[:2], np.float32)


def _untouched(image: Image, mask: Plane) -> Image:
    return image
