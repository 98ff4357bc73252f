"""Category A, figure 2 of the paper: restore the whole image and its text, and fuse both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.photos import Image
from tasks.chains import Restorer
from tasks.imaging.light import Plane
from tasks.receipt import Receipt
from tasks.verdict import Verdict

MARGIN = 32
"""Pixels around the text that are given to its restorer, too."""


@dataclass(frozen=True)
class SuperResolution:
    """Restores the whole image, and its text with another restorer."""

    restore: Restorer
    find_text: Callable[[Image], Plane]
    """Image → mask (H, W) in [0, 1], 1 on text."""
    restore_text: Restorer
    scale: int = 1

    def __call__(self, image: Image, verdict: Verdict, receipt: Receipt) -> Image:
        """Restore an image as far as `verdict` asks for, and note each step in `receipt`."""
        with receipt.step("restore the whole image"):
            whole = self.restore(image, verdict)
        with receipt.step("find text") as facts:
            mask = self.find_text(image)
            facts["text_share"] = round(float(mask.mean()), 4)
            receipt.text = mask
        if not mask.any():
            return whole
        box = around(mask)
        with receipt.step("restore text"):
            text = self.restore_text(image[box], verdict)
        with receipt.step("fuse"):
            fused = whole.copy()
            fused[box] += mask[box][..., np.newaxis] * (text - whole[box])
            return fused


def around(mask: Plane) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around a mask's content, with a margin."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left = max(0, int(rows[0]) - MARGIN), max(0, int(columns[0]) - MARGIN)
    return slice(top, int(rows[-1]) + MARGIN + 1), slice(left, int(columns[-1]) + MARGIN + 1)
