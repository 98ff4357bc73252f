"""See what a pane lays over a photo, and how much of it: a small net on figures of its blocks.

A net that sees these figures learns from a thousand scenes what one that sees pixels did not.
"""

import math
from typing import NamedTuple

import numpy as np

from storage.photos import Image
from tasks.imaging.light import GAMMA
from tasks.imaging.veil_figures import DARKEST_FIGURES, figures_of
from tasks.lite import onnx_nets


class Veil(NamedTuple):
    """What lies over a photo."""

    logit: float
    """Of the severity."""
    light: Image
    """What the pane adds, linear RGB, (GRID, GRID, 3) over the whole photo."""

    @property
    def severity(self) -> float:
        """How bad it is, in [0, 1]."""
        return 1 / (1 + math.exp(-self.logit))


def veil(image: Image) -> Veil:
    """Tell what lies over an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
    figures = figures_of(image)
    shares, logits = onnx_nets.run("reflection", figures)
    return Veil(
        float(logits.ravel()[0]),
        np.moveaxis(shares[0], 0, -1) * figures[..., DARKEST_FIGURES] ** np.float32(GAMMA),
    )
