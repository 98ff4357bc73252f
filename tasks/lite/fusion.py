"""Combine the nets' logits with measured evidence into severities and categories.

A small perceptron on 13 figures, fitted by `python -m tasks.training.fit_fusion`.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.enums import Category, Degradation
from tasks.imaging.evidence import Evidence
from tasks.lite import onnx_nets

Figures = NDArray[np.float32]

FILE = onnx_nets.FOLDER / "fusion.npz"
CATEGORIES = tuple(Category)
MAX_LOGIT = 12.0
"""Largest magnitude of a logit that is weighed; larger ones are clipped."""
MIN_VEIL_LOGIT = -3.5
"""Smallest logit of a veil that is weighed: lower ones would also lower the severity of noise."""
DEPTH_EPSILON = 1e-3
"""Added to the depth of an echo before its logarithm is taken."""


class Layers(NamedTuple):
    """A perceptron: figures (F,) → H hidden values → logits of 5 severities and 4 categories."""

    mean: Figures
    spread: Figures
    enter: Figures
    """(H, F)"""
    enter_bias: Figures
    leave: Figures
    """(9, H)"""
    leave_bias: Figures


def figures_of(
    logits: Mapping[Degradation, float], veil_logit: float, evidence: Evidence
) -> Figures:
    """Return the inputs of the perceptron, (13,)."""
    step, relative_step = evidence.blockiness
    measured = (
        np.log1p(evidence.noise_sigma),
        np.clip(step, -1, 6),
        np.clip(relative_step, -0.2, 2),
        evidence.edge_sigma,
        np.log(evidence.ghost.depth + DEPTH_EPSILON),
        np.log(evidence.movement.depth + DEPTH_EPSILON),
        evidence.movement_sigma,
    )
    judged = [np.clip(logits[kind], -MAX_LOGIT, MAX_LOGIT) for kind in Degradation]
    return np.array(
        [*judged, *measured, np.clip(veil_logit, MIN_VEIL_LOGIT, MAX_LOGIT)], np.float32
    )


def weigh(figures: Figures) -> tuple[dict[Degradation, float], dict[Category, float]]:
    """Return severities in [0, 1], and the probabilities of the categories, which add up to 1."""
    layers = _layers()
    hidden = np.tanh(layers.enter @ ((figures - layers.mean) / layers.spread) + layers.enter_bias)
    outputs = layers.leave @ hidden + layers.leave_bias
    severities, votes = np.split(outputs.astype(np.float64), [len(Degradation)])
    severities = 1 / (1 + np.exp(-severities))
    shares = np.exp(votes - votes.max())
    shares /= shares.sum()
    return (
        dict(zip(Degradation, map(float, severities), strict=True)),
        dict(zip(CATEGORIES, map(float, shares), strict=True)),
    )


@cache
def _layers() -> Layers:
    with np.load(FILE) as file:
        return Layers(**{name: file[name] for name in Layers._fields})
