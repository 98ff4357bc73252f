"""Decide which parts of a restored image are kept: none may be worse than the original.

No network is asked. The figures are those of `tasks.guarding`, and compare the two images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from storage.enums import Category
from storage.photos import Image
from tasks.guarding import figures, limits, regions
from tasks.guarding.limits import Limit
from tasks.imaging.light import Plane

MIN_CHANGE = 1 / 255
"""Smallest change of the pixel that changed most; a smaller one is no restoration."""
MIN_CHANGE_LEFT = 1 / 3
"""Smallest share of the change's energy that a result may keep; with less, it is refused."""


@dataclass(frozen=True)
class Judgement:
    """The decision on one result."""

    kept: bool
    reason: str
    """One sentence; for a refused result it names the figure and its limit."""
    figures: dict[str, float]
    """All figures that were measured, for the receipt; of those of blocks the largest value."""
    image: Image
    """The result, faded to the original where it is worse; the original if nothing is kept."""
    failed: str | None = None
    """The name of the figure for which the whole result was refused."""


def judge(
    before: Image,
    after: Image,
    category: Category,
    *,
    scale: int = 1,
    text: Plane | None = None,
    generative: bool = False,
) -> Judgement:
    """Decide what is kept of `after`, the restoration of `before` for a category.

    `scale` is the requested enlargement; an enlarged result is compared at the original's size.
    `text` is a mask of the photo's text, 1 on text. A `generative` result may add detail.
    """
    if fault := _pixel_fault(before, after, scale):
        return Judgement(False, fault, {}, before, "pixels")
    compared = _resized(before, after)
    if cv2.norm(compared, before, cv2.NORM_INF) < MIN_CHANGE:  # makes no copy
        return Judgement(False, "nothing changed", {}, before, "change")
    seen = figures.views(before, compared, category, text)
    whole, maps = figures.of_whole(seen), figures.of_blocks(seen)
    rules = _limits(limits.BLOCKS[category], generative)
    failing = {
        name: (maps[name] > limit.most).astype(np.float32)
        for name, limit in rules.items()
        if name in maps and limit.most is not None
    }
    kept = regions.kept_blocks(np.max(list(failing.values()), axis=0))
    energy = regions.energies(before, compared)
    found = whole | {name: float(values.max()) for name, values in maps.items()}
    found |= {"kept_share": float(kept.mean()), "change_left": _change_left(kept, energy)}
    for name, limit in _limits(limits.WHOLE[category], generative).items():
        if limit.exceeded(found[name]):
            return Judgement(False, limit.sentence(found[name]), _rounded(found), before, name)
    if found["change_left"] >= MIN_CHANGE_LEFT:
        image = regions.faded(before, after, kept)
        return Judgement(True, _kept(found["kept_share"]), _rounded(found), image)
    worst = max(failing, key=lambda name: float((failing[name] * energy).sum()))
    reason = f"{rules[worst].sentence(found[worst])}, in most of the change"
    return Judgement(False, reason, _rounded(found), before, worst)


def _change_left(kept: Plane, energy: Plane) -> float:
    """Return the share of the change's energy that is left where blocks keep a share of it."""
    return float((kept**2 * energy).sum() / max(float(energy.sum()), 1e-12))


def _kept(share: float) -> str:
    if share == 1:
        return "better than the original"
    return f"better than the original; {1 - share:.0%} of the photo left as it was"


def _limits(rules: Mapping[str, Limit], generative: bool) -> dict[str, Limit]:
    left_out = limits.INVENTED if generative else ()
    return {name: limit for name, limit in rules.items() if name not in left_out}


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(figure, 4) for name, figure in found.items()}


def _pixel_fault(before: Image, after: Image, scale: int) -> str | None:
    height, width = (side * scale for side in before.shape[:2])
    if after.shape != (height, width, 3):
        size = "x".join(str(side) for side in after.shape[1::-1])
        return f"the result is {size} pixels instead of {width}x{height}"
    if not np.isfinite(after).all():
        return "the result has pixels that are not finite numbers"
    if after.min() < 0 or after.max() > 1:
        return f"the result's values are {after.min():.3f} to {after.max():.3f}, outside 0 to 1"
    return None


def _resized(before: Image, after: Image) -> Image:
    if after.shape == before.shape:
        return after
    return np.asarray(cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA))
