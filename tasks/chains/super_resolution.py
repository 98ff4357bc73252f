"""Category A, figure 2 of the paper: the whole image, its text apart, and both fused."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.light import Plane
from tasks.receipt import Receipt
from tasks.restorers import Restorer


@dataclass(frozen=True)
class SuperResolution:
    """Restores the whole image, and its text by other means."""

    restore: Restorer
    find_text: Callable[[Image], Plane]
    """Image → mask (H, W) in [0, 1], 1 on text."""
    restore_text: Restorer
    generative: bool

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("restore the whole image"):
            whole = self.restore(image, verdict)
        with receipt.step("find text") as facts:
            mask = self.find_text(image)
            facts["text_share"] = round(float(mask.mean()), 4)
        if not mask.any():
            return whole
        with receipt.step("restore text"):
            text = self.restore_text(image, verdict)
        with receipt.step("fuse"):
            return fuse(whole, text, mask)


def fuse(whole: Image, text: Image, mask: Plane) -> Image:
    """Lay the text over the whole image where the mask says so."""
    share = mask[..., np.newaxis]
    return whole + share * (text - whole)


def lite() -> SuperResolution:
    """Build the chain of the lite engine."""
    from tasks.detectors.text import find_text
    from tasks.restorers.cleaning import clean, sharpen_letters

    return SuperResolution(clean, find_text, sharpen_letters, generative=False)
