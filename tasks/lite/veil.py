"""Estimate the light that a pane adds to a photo, by a small net on figures of its blocks.

From a thousand scenes, a net on these figures learns more than one on pixels
(`docs/experiments.md`).
"""

import math
from typing import NamedTuple

import numpy as np

from storage.photos import Image
from tasks.imaging.light import GAMMA
from tasks.imaging.veil_figures import DARKEST_FIGURES, figures_of
from tasks.lite import onnx_nets


class Veil(NamedTuple):
    """The reflection of a pane over a photo."""

    logit: float
    """Logit of the severity."""
    light: Image
    """The added light, linear RGB, (GRID, GRID, 3) over the whole photo."""

    @property
    def severity(self) -> float:
        """The severity, in [0, 1]."""
        return 1 / (1 + math.exp(-self.logit))


def veil(image: Image) -> Veil:
    """Return the reflection over an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
    figures = figures_of(image)
    shares, logits = onnx_nets.run("reflection", figures)
    return Veil(
        float(logits.ravel()[0]),
        np.moveaxis(shares[0], 0, -1) * figures[..., DARKEST_FIGURES] ** np.float32(GAMMA),
    )
