"""Decide whether a restored image is kept: it must not be worse than what it was made from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging.light import Plane, luma
from tasks.verdict import TREATED, Classifier, Verdict

MAX_MEAN_SHIFT = 2.0
"""Of a colour channel's mean, of 255 (1.3 at most over 193 results of a diffusion restorer)."""
BLOCK, MAX_BLOCK_SHIFT = 64, 20.0
"""Pixels of a block, and how far the mean of one may move, of 255 (a bright ghost: 17.9 on Kodak)."""
LOW_BLOCK, MAX_LOW_SHIFT = 128, 3.0
"""Pixels of the blocks whose means are the low frequencies, and the root mean square of what they
may move, of 255."""
MIN_LIGHT_LEFT, MIN_EDGE_CORRELATION = 0.5, 0.5
"""Of a photo whose reflection is taken away: the share of its light, and the correlation of its edges
before and after. Of 9 real pairs (Real20, Location) the truth has at least 0.56 and 0.58, and no
block of it is brighter than the photo by more than 12 of 255, though darker by up to 147."""
MAX_LOG_ODDS_RISE = 0.2
"""By which the worst treated severity may rise, in log odds: near 1 a severity hardly moves, its odds
do. What was very soft or shaken is better sharpened half-way, and is still called soft then."""
MIN_CHANGE = 1 / 255
"""Of the pixel that changed most; less is no restoration."""
MAX_ODDS_SEVERITY = 0.999
"""A severity above which odds say nothing."""
MAX_RISE = 0.25
"""Of any severity, unless it stays below `IGNORED_SEVERITY`."""
IGNORED_SEVERITY = 0.87
"""A severity up to which a degradation does not count as one: at even odds that is 0.75. With 0.4,
44 of 389 results of made photos were refused, with 0.6 still 28: most of them because what had been
noisy or moved was then called a little soft."""
UNCOVERED = Degradation.REFLECTION
"""What takes noise or a movement away often shows a pane more plainly that had always been there: of
nine results that were refused for it all were better than before. The light that a pane adds moves
the coarse picture, which may move by less than can be seen."""
MIN_HIDDEN_SOFTNESS = 0.5
"""The severity from which on softness may have been there under noise, which hides it: it may rise when
that is taken out. All six results that were refused for it were better, by 1 to 10 dB; of four sharp
photos with noise of 6 to 28 none reaches it, so that none may become soft."""


Severities = Mapping[Degradation, float]


@dataclass(frozen=True)
class Judgement:
    """What the guard says of a result."""

    kept: bool
    reason: str
    """One sentence; it names the figure that refused the result."""
    figures: dict[str, float]
    """All that was measured, for the receipt."""


def judge(
    before: Image, after: Image, verdict: Verdict, classifier: Classifier, scale: float = 1.0
) -> Judgement:
    """Decide whether `after`, made from `before` because of `verdict`, is kept.

    `scale` is the enlargement that was asked for; what was enlarged is judged at its old size.
    """
    figures: dict[str, float] = {}
    reason = _pixel_fault(before, after, scale)
    if not reason:
        after = _resized(before, after)
        reason = _colour_fault(before, after, verdict.category, figures) or _severity_fault(
            before, after, verdict, classifier, figures
        )
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    if reason:
        return Judgement(False, reason, rounded)
    return Judgement(True, "better than the original", rounded)


def _pixel_fault(before: Image, after: Image, scale: float) -> str | None:
    height, width = (round(side * scale) for side in before.shape[:2])
    if after.shape != (height, width, 3):
        size = "x".join(str(side) for side in after.shape[1::-1])
        return f"the result is {size} pixels, asked for were {width}x{height}"
    if not np.isfinite(after).all():
        return "the result has pixels that are no numbers"
    if after.min() < 0 or after.max() > 1:
        return f"the result reaches from {after.min():.3f} to {after.max():.3f}, allowed is 0 to 1"
    return None


def _resized(before: Image, after: Image) -> Image:
    if after.shape == before.shape:
        return after
    return np.asarray(cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA))


def _colour_fault(
    before: Image, after: Image, category: Category, figures: dict[str, float]
) -> str | None:
    """Compare coarse colours; of a reflection light may be taken away, but never be added."""
    size: Callable[[Any], Any] = np.abs
    if category is Category.REFLECTION:
        size = partial(np.maximum, 0)
        if reason := _scene_fault(before, after, figures):
            return reason
    means = after.mean((0, 1), dtype=np.float64) - before.mean((0, 1), dtype=np.float64)
    figures["mean_shift"] = 255 * float(size(means).max())
    figures["block_shift"] = float(size(_shifts(before, after, BLOCK)).max())
    low = size(_shifts(before, after, LOW_BLOCK))
    figures["low_shift"] = float(np.sqrt(np.square(low).mean()))
    for name, what, limit in (
        ("mean_shift", "the mean colour", MAX_MEAN_SHIFT),
        ("block_shift", "a part of the photo", MAX_BLOCK_SHIFT),
        ("low_shift", "the coarse picture", MAX_LOW_SHIFT),
    ):
        if figures[name] > limit:
            return f"{what} moved by {figures[name]:.1f}/255, at most {limit:.1f} allowed"
    return None


def _scene_fault(before: Image, after: Image, figures: dict[str, float]) -> str | None:
    """Tell whether more than a reflection is gone: too much of the light, or the scene's edges."""
    had, has = luma(before), luma(after)
    figures["light_left"] = float(has.mean()) / max(float(had.mean()), 1e-6)
    if figures["light_left"] < MIN_LIGHT_LEFT:
        return (
            f"{figures['light_left']:.2f} of the light is left, at least {MIN_LIGHT_LEFT} must be"
        )
    figures["edges_alike"] = _correlation(_edges(had), _edges(has))
    if figures["edges_alike"] < MIN_EDGE_CORRELATION:
        return f"edges are alike by {figures['edges_alike']:.2f}, at least {MIN_EDGE_CORRELATION} must be"
    return None


def _edges(plane: Plane) -> Plane:
    fine = cv2.GaussianBlur(plane, (0, 0), 1)
    return np.asarray(cv2.Laplacian(fine, cv2.CV_32F), np.float32)


def _correlation(one: Plane, other: Plane) -> float:
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float((one * other).sum(dtype=np.float64)) / norm if norm else 1.0


def _shifts(before: Image, after: Image, block: int) -> Image:
    """Give what the means of blocks moved by, of 255."""
    size = (max(1, before.shape[1] // block), max(1, before.shape[0] // block))
    means = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (before, after)]
    return np.asarray(255 * (means[1] - means[0]), np.float32)


def _severity_fault(
    before: Image,
    after: Image,
    verdict: Verdict,
    classifier: Classifier,
    figures: dict[str, float],
) -> str | None:
    """Compare severities; those of the file (its tables) are left out on both sides."""
    had, has = classifier(before).severities, classifier(after).severities
    treated = TREATED[verdict.category]
    for kind in Degradation:
        figures[f"{kind.value}_before"], figures[f"{kind.value}_after"] = had[kind], has[kind]
    worst = max(treated, key=lambda kind: had[kind], default=None)
    if worst is None:
        return "a clean photo needs no restoration"
    if cv2.norm(after, before, cv2.NORM_INF) < MIN_CHANGE:  # without a copy of either
        return _sentence(worst, had, has, "nothing changed")
    if _log_odds(has[worst]) - _log_odds(had[worst]) > MAX_LOG_ODDS_RISE:
        return _sentence(worst, had, has, f"its log odds may rise by {MAX_LOG_ODDS_RISE}")
    for kind in Degradation:
        risen = has[kind] > IGNORED_SEVERITY and has[kind] - had[kind] > MAX_RISE
        if risen and not _was_hidden(kind, worst, had):
            return _sentence(kind, had, has, f"it may rise by {MAX_RISE}")
    return None


def _was_hidden(kind: Degradation, treated: Degradation, had: Severities) -> bool:
    """Return whether a degradation may only be seen more plainly now, and was there before."""
    under_noise = kind is Degradation.SOFTNESS and treated is Degradation.NOISE
    return kind is UNCOVERED or (under_noise and had[kind] >= MIN_HIDDEN_SOFTNESS)


def _log_odds(severity: float) -> float:
    bounded = min(max(severity, 1 - MAX_ODDS_SEVERITY), MAX_ODDS_SEVERITY)
    return math.log(bounded / (1 - bounded))


def _sentence(kind: Degradation, had: Severities, has: Severities, rule: str) -> str:
    return f"{kind.value} went from {had[kind]:.2f} to {has[kind]:.2f}, {rule}"
