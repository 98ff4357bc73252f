"""Estimate the light that a pane adds to a photo, by a small net on figures of its blocks.

From a thousand scenes, a net on these figures learns more than one on pixels
(`docs/experiments.md`).
"""

import math
from typing import NamedTuple

import numpy as np

from storage.photos import Image
from tasks.imaging.light import GAMMA, Plane, linear
from tasks.imaging.veil_figures import DARKEST_FIGURES, MEAN_FIGURES, figures_of
from tasks.lite import onnx_nets

MIN_STRUCTURE, MIN_SHARE = 0.33, 0.05
"""Smallest structure and share of the light of a second scene: haze has less of the one, an
invisible reflection of the other (`docs/experiments.md`)."""
DIM = 0.01
"""Sum of the channels of a light whose colour hardly counts."""


class Veil(NamedTuple):
    """The reflection of a pane over a photo."""

    logit: float
    """Logit of the severity."""
    light: Image
    """The added light, linear RGB, (GRID, GRID, 3) over the whole photo."""
    share: float
    """The added light as a share of the photo's light."""

    @property
    def severity(self) -> float:
        """The severity, in [0, 1]."""
        return 1 / (1 + math.exp(-self.logit))

    @property
    def shows_a_scene(self) -> bool:
        """Whether the light is visible and has the structure of a scene: haze is smooth and grey."""
        return self.share >= MIN_SHARE and structure(self.light) >= MIN_STRUCTURE


def veil(image: Image) -> Veil:
    """Return the reflection over an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
    figures = figures_of(image)
    shares, logits = onnx_nets.run("reflection", figures)
    light = np.moveaxis(shares[0], 0, -1) * figures[..., DARKEST_FIGURES] ** np.float32(GAMMA)
    whole = float(linear(figures[..., MEAN_FIGURES]).mean())
    return Veil(float(logits.ravel()[0]), light, float(light.mean()) / max(whole, 1e-6))


def structure(light: Image) -> float:
    """Return how much light varies over a photo: its brightness and its colours, (H, W, 3).

    The one is the deviation from the nearest quadratic surface, as a share of the mean; the other
    the deviation of the colours from their mean, as shares of the sum of the channels.
    """
    return _unevenness(light.mean(2)) + _spread_of_colours(light)


def _unevenness(light: Plane) -> float:
    y, x = (axis / max(light.shape) for axis in np.indices(light.shape))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    surface = terms @ np.linalg.lstsq(terms, light.ravel(), rcond=None)[0]
    return float((light.ravel() - surface).std()) / (float(light.mean()) + 1e-4)


def _spread_of_colours(light: Image) -> float:
    sums = light.reshape(-1, 3).sum(1) + np.float32(1e-6)  # the weights: colours of dim light vary
    colours = light.reshape(-1, 3) / (sums + DIM)[:, None]
    distances = np.square(colours - np.average(colours, 0, sums)).sum(1)
    return math.sqrt(float(np.average(distances, weights=sums)))
