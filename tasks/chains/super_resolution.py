"""Category A, figure 2 of the paper: restore the whole image and its text, and fuse both.

Where the paper restores text by another network, this chain keeps less of the same restoration.
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
class SuperResolution:
    """Restores the whole image, and its text by a share of that, so that strokes are kept."""

    restore: Restorer
    find_text: Callable[[Image], Plane]
    """Image → mask (H, W) in [0, 1], 1 on text."""
    text_share: float
    """Share of the change that is kept on text, 0 to 1."""
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
        with receipt.step("fuse", share_on_text=self.text_share):
            box = _around(mask)
            given_up = np.float32(1 - self.text_share) * mask[box][..., np.newaxis]
            fused = whole.copy()
            fused[box] += given_up * (image[box] - whole[box])
            return fused


def _around(mask: Plane) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around a mask's content."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
