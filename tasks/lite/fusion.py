"""Weigh what the nets say with what was measured: a severity for each degradation, and a category.

A small perceptron on a dozen figures, fitted by `python -m tasks.training.fit_fusion`, which also tells
how well its probabilities are calibrated.
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
MIN_VEIL_LOGIT = -3.5
"""The logit of a veil below which there is none; how far below says nothing of anything else: noise
that hides every flat place pushed it to -6, and itself below what is mended."""
DEPTH_EPSILON = 1e-3
"""Of an echo; what is fainter counts as none."""


class Layers(NamedTuple):
    """A perceptron with one hidden layer: figures (F,) → H values → 5 severities, 4 categories."""

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
    """Return the figures that are weighed, (13,)."""
    step, lone_step = evidence.blockiness
    measured = (
        np.log1p(evidence.noise_sigma),
        np.clip(step, -1, 6),
        np.clip(lone_step, -0.2, 2),
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
