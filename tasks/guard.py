"""Decide whether a restored image is kept: it must not be worse than the original."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging.light import Plane, luma
from tasks.verdict import TREATED, Classifier, Severities, Verdict

MAX_MEAN_SHIFT = 2.0
"""Largest shift of a colour channel's mean, of 255: 193 results of a diffusion restorer moved it by
at most 1.3."""
BLOCK, MAX_BLOCK_SHIFT = 64, 20.0
"""Side of a block in pixels, and the largest shift of a block's mean, of 255: removing a bright
ghost moved one by 17.9."""
LOW_BLOCK, MAX_LOW_SHIFT = 128, 3.0
"""Side in pixels of the blocks that stand for low frequencies, and the largest root mean square
shift of their means, of 255."""
MIN_LIGHT_LEFT, MIN_EDGE_CORRELATION = 0.5, 0.5
"""Smallest share of the light, and smallest correlation of the edges, that removing a reflection
may leave: the truths of 9 real pairs (Real20, Location) have at least 0.56 and 0.58."""
MAX_LOG_ODDS_RISE = 0.2
"""Largest rise of the worst treated severity, in log odds, which still distinguish severities close
to 1."""
MIN_CHANGE = 1 / 255
"""Smallest change of the pixel that changed most; a smaller one is no restoration."""
MAX_ODDS_SEVERITY = 0.999
"""Severities are clipped to 0.001 and this before their odds are taken, so that odds stay
finite."""
MAX_RISE = 0.25
"""Largest rise of any severity that ends above `IGNORED_SEVERITY`."""
IGNORED_SEVERITY = 0.87
"""Severity up to which a degradation is ignored; chosen on 389 results for degraded photos
(`docs/experiments.md`)."""
UNCOVERED = Degradation.REFLECTION
"""Removing noise or blur often makes an existing reflection more visible, so its severity may
rise."""
MIN_HIDDEN_SOFTNESS = 0.5
"""Severity of softness from which noise may have hidden more of it; four sharp photos with noise of
6 to 28 stay below."""


@dataclass(frozen=True)
class Judgement:
    """The decision on one result."""

    kept: bool
    reason: str
    """One sentence; for a refused result it names the figure and its limit."""
    figures: dict[str, float]
    """All figures that were measured, for the receipt."""
    failed: str | None = None
    """The name of the figure that refused the result: one of `figures`, or `pixels` or `change`."""


class Fault(NamedTuple):
    """A figure that refuses a result, and the sentence that says so."""

    figure: str
    reason: str


def judge(
    before: Image, after: Image, verdict: Verdict, classifier: Classifier, scale: float = 1.0
) -> Judgement:
    """Decide whether `after`, the restoration of `before` for `verdict`, is kept.

    `scale` is the requested enlargement; an enlarged result is compared at the original's size.
    """
    figures: dict[str, float] = {}
    fault = _pixel_fault(before, after, scale)
    if not fault:
        after = _resized(before, after)
        fault = _colour_fault(before, after, verdict.category, figures) or _severity_fault(
            before, after, verdict, classifier, figures
        )
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    if fault:
        return Judgement(False, fault.reason, rounded, fault.figure)
    return Judgement(True, "better than the original", rounded)


def _pixel_fault(before: Image, after: Image, scale: float) -> Fault | None:
    height, width = (round(side * scale) for side in before.shape[:2])
    if after.shape != (height, width, 3):
        size = "x".join(str(side) for side in after.shape[1::-1])
        return Fault("pixels", f"the result is {size} pixels instead of {width}x{height}")
    if not np.isfinite(after).all():
        return Fault("pixels", "the result has pixels that are not finite numbers")
    if after.min() < 0 or after.max() > 1:
        values = f"{after.min():.3f} to {after.max():.3f}"
        return Fault("pixels", f"the result's values are {values}, outside 0 to 1")
    return None


def _resized(before: Image, after: Image) -> Image:
    if after.shape == before.shape:
        return after
    return np.asarray(cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA))


def _colour_fault(
    before: Image, after: Image, category: Category, figures: dict[str, float]
) -> Fault | None:
    """Return why colours changed too much, if so; removing a reflection may only darken."""
    size: Callable[[Any], Any] = np.abs
    if category is Category.REFLECTION:
        size = partial(np.maximum, 0)
        if fault := _scene_fault(before, after, figures):
            return fault
    means = after.mean((0, 1), dtype=np.float64) - before.mean((0, 1), dtype=np.float64)
    figures["mean_shift"] = 255 * float(size(means).max())
    figures["block_shift"] = float(size(_shifts(before, after, BLOCK)).max())
    low = size(_shifts(before, after, LOW_BLOCK))
    figures["low_shift"] = float(np.sqrt(np.square(low).mean()))
    for name, what, limit in (
        ("mean_shift", "the mean colour", MAX_MEAN_SHIFT),
        ("block_shift", "a part of the photo", MAX_BLOCK_SHIFT),
        ("low_shift", "the low frequencies", MAX_LOW_SHIFT),
    ):
        if figures[name] > limit:
            moved = f"{what} moved by {figures[name]:.1f}/255"
            return Fault(name, f"{moved}, at most {limit:.1f} allowed")
    return None


def _scene_fault(before: Image, after: Image, figures: dict[str, float]) -> Fault | None:
    """Return why more than a reflection was removed, if so: too much light, or edges."""
    old, new = luma(before), luma(after)
    figures["light_left"] = float(new.mean()) / max(float(old.mean()), 1e-6)
    if figures["light_left"] < MIN_LIGHT_LEFT:
        return Fault(
            "light_left",
            f"{figures['light_left']:.2f} of the light is left, at least {MIN_LIGHT_LEFT} required",
        )
    figures["edges_alike"] = _correlation(_edges(old), _edges(new))
    if figures["edges_alike"] < MIN_EDGE_CORRELATION:
        return Fault(
            "edges_alike",
            f"the edges correlate by {figures['edges_alike']:.2f}, "
            f"at least {MIN_EDGE_CORRELATION} required",
        )
    return None


def _edges(plane: Plane) -> Plane:
    fine = cv2.GaussianBlur(plane, (0, 0), 1)
    return np.asarray(cv2.Laplacian(fine, cv2.CV_32F), np.float32)


def _correlation(one: Plane, other: Plane) -> float:
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float((one * other).sum(dtype=np.float64)) / norm if norm else 1.0


def _shifts(before: Image, after: Image, block: int) -> Image:
    """Return the shifts of the blocks' means, of 255."""
    size = (max(1, before.shape[1] // block), max(1, before.shape[0] // block))
    means = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (before, after)]
    return np.asarray(255 * (means[1] - means[0]), np.float32)


def _severity_fault(
    before: Image,
    after: Image,
    verdict: Verdict,
    classifier: Classifier,
    figures: dict[str, float],
) -> Fault | None:
    """Return why the severities are no better, if they are not.

    Both images are classified by their pixels alone: the JPEG quality of the original's file is
    ignored.
    """
    old, new = classifier(before).severities, classifier(after).severities
    treated = TREATED[verdict.category]
    for kind in Degradation:
        figures[f"{kind.value}_before"], figures[f"{kind.value}_after"] = old[kind], new[kind]
    worst = max(treated, key=lambda kind: old[kind], default=None)
    if worst is None:
        return Fault("change", "a clean photo needs no restoration")
    if cv2.norm(after, before, cv2.NORM_INF) < MIN_CHANGE:  # makes no copy
        return Fault("change", _sentence(worst, old, new, "nothing changed"))
    if _log_odds(new[worst]) - _log_odds(old[worst]) > MAX_LOG_ODDS_RISE:
        rule = f"its log odds may rise by at most {MAX_LOG_ODDS_RISE}"
        return Fault(f"{worst.value}_after", _sentence(worst, old, new, rule))
    for kind in Degradation:
        risen = new[kind] > IGNORED_SEVERITY and new[kind] - old[kind] > MAX_RISE
        if risen and not _was_hidden(kind, worst, old):
            rule = f"it may rise by at most {MAX_RISE}"
            return Fault(f"{kind.value}_after", _sentence(kind, old, new, rule))
    return None


def _was_hidden(kind: Degradation, treated: Degradation, old: Severities) -> bool:
    """Return whether a degradation may have been there before, hidden by the treated one."""
    under_noise = kind is Degradation.SOFTNESS and treated is Degradation.NOISE
    return kind is UNCOVERED or (under_noise and old[kind] >= MIN_HIDDEN_SOFTNESS)


def _log_odds(severity: float) -> float:
    bounded = min(max(severity, 1 - MAX_ODDS_SEVERITY), MAX_ODDS_SEVERITY)
    return math.log(bounded / (1 - bounded))


def _sentence(kind: Degradation, old: Severities, new: Severities, rule: str) -> str:
    return f"{kind.value} went from {old[kind]:.2f} to {new[kind]:.2f}, {rule}"
