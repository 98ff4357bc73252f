"""Classify, restore and guard one image: the core of the worker, `evaluate`, `compare` and the demo.

No file, database or device is touched here; the parts of the engine are given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from storage.enums import Category, Decision, LeastChange, Strength
from storage.photos import Image
from tasks import guard
from tasks.chains import Chain
from tasks.guard import Judgement
from tasks.imaging.visibility import VISIBLE, visible_change
from tasks.imaging.wrapping import border, unwrapped, wrapped
from tasks.receipt import Receipt
from tasks.verdict import Classifier, Verdict

SHARES = {Strength.GENTLE: 0.5, Strength.NORMAL: 1.0, Strength.STRONG: 1.25}
"""How much of the change that a chain makes is kept for each strength (`docs/experiments.md`,
"Strengths")."""
UNSEEN = "nothing a person would see"
"""Why a result that the guard accepted is not kept."""


@dataclass(frozen=True)
class Engine:
    """The parts that mend an image, each loaded when it is first asked for."""

    classifier: Callable[[], Classifier]
    chain: Callable[[Category], Chain]
    least_change: LeastChange = LeastChange.VISIBLE
    """Which of the results that the guard accepts are kept."""
    strength: Strength = Strength.NORMAL
    """How much of a chain's change the guard gets to judge."""
    shows_refused: bool = False
    """Whether the result has what the guard refused, too."""


@dataclass(frozen=True)
class Mended:
    """The verdict on an image, and what became of it."""

    verdict: Verdict
    decision: Decision
    reason: str | None
    """Why the result was kept or refused, or why the verdict is unsure; None if the verdict is clean."""
    image: Image
    """The restored image, faded to the given one where it is worse; the given one if it is refused."""
    receipt: Receipt = field(default_factory=Receipt)
    figures: Mapping[str, float] = field(default_factory=dict)
    """Measurements of the guard, and `visible_change` of a result that it accepted."""
    failed: str | None = None
    """The name of the guard's figure for which the result was refused."""
    strength: Strength = Strength.NORMAL
    refused: Image | None = None
    """What the guard refused, if the engine shows it."""

    @property
    def record(self) -> dict[str, Any]:
        """The JSON object that is stored with a job."""
        made = {
            "steps": self.receipt.steps,
            "guard": {name: round(figure, 5) for name, figure in self.figures.items()},
            "generative": self.receipt.generative,
            "strength": self.strength.value,
        }
        return made | ({"from_full_result": True} if self.receipt.from_full_result else {})


def mend(
    image: Image,
    engine: Engine,
    *,
    verdict: Verdict | None = None,
    jpeg_quality: int | None = None,
    wraps: bool = False,
) -> Mended:
    """Restore an image, RGB in [0, 1], shape (H, W, 3), unless it is clean or unsure.

    A `verdict` that is given is acted on, even an unsure one; without one the image is classified,
    with the `jpeg_quality` of its file. With `wraps`, its left and right edges show the same place,
    as those of a full panorama.
    """
    if verdict is None:
        verdict = engine.classifier()(image, jpeg_quality=jpeg_quality)
        if (untouched := verdict.untouched) is not None:
            return Mended(verdict, *untouched, image)
    chain = engine.chain(verdict.category)
    if not wraps:
        return _restored(image, chain, verdict, engine)
    wide = wrapped(image)
    mended = _restored(wide, chain, verdict, engine)
    inner = partial(unwrapped, width=border(image) * chain.scale)
    return replace(
        mended,
        image=image if mended.image is wide else inner(mended.image),
        refused=None if mended.refused is None else inner(mended.refused),
    )


def blended(before: Image, made: Image, strength: Strength) -> Image:
    """Return a result with less or more of what a chain changed.

    `made` is the chain's result, perhaps larger than `before`, which is then enlarged smoothly.
    """
    share = np.float32(SHARES[strength])
    if share == 1:
        return made
    if before.shape != made.shape:
        size = made.shape[1::-1]
        before = np.asarray(cv2.resize(before, size, interpolation=cv2.INTER_CUBIC), np.float32)
    return np.clip(before + share * (made - before), 0, 1)


def _restored(image: Image, chain: Chain, verdict: Verdict, engine: Engine) -> Mended:
    """Restore an image, and keep of it what the guard accepts; nothing if a network fails at it."""
    receipt, strength = Receipt(), engine.strength
    try:
        made = chain(image, verdict, receipt)
    except FloatingPointError as error:
        reason = str(error)
        return Mended(
            verdict, Decision.KEPT_ORIGINAL, reason, image, receipt, {}, "pixels", strength
        )
    judge = partial(
        guard.judge, image, category=verdict.category,
        scale=chain.scale, text=receipt.text, generative=receipt.generative,
    )  # fmt: skip
    judgement = _judged(image, made, strength, judge)
    mended = Mended(
        verdict, Decision.RESTORED if judgement.kept else Decision.KEPT_ORIGINAL, judgement.reason,
        judgement.image, receipt, judgement.figures, judgement.failed, strength,
        None if judgement.kept or not engine.shows_refused else blended(image, made, strength),
    )  # fmt: skip
    return mended if chain.scale > 1 else _if_visible(image, mended, engine.least_change)


def _judged(
    image: Image, made: Image, strength: Strength, judge: Callable[[Image], Judgement]
) -> Judgement:
    """Return what the guard keeps of a result in its strength.

    A gentle result lies between the photo and a normal one, so that one is judged: to the guard,
    half a change looks like a blur. A strong one that the guard refuses gives way to the normal one.
    """
    first = judge(blended(image, made, strength) if strength is Strength.STRONG else made)
    if not first.kept and strength is Strength.STRONG:
        normal = judge(made)
        reason = f"not strongly, since {first.reason}" if normal.kept else normal.reason
        return replace(normal, reason=reason)
    if first.kept and strength is Strength.GENTLE:
        return replace(first, image=blended(image, first.image, strength))
    return first


def _if_visible(before: Image, mended: Mended, least: LeastChange) -> Mended:
    """Note the visible change of a restored image, and return the given one if it is too small.

    An enlarged image is always kept: its pixels are others.
    """
    if mended.decision is not Decision.RESTORED:
        return mended
    change = visible_change(before, mended.image)
    measured = replace(mended, figures={**mended.figures, "visible_change": change})
    if least is LeastChange.ANY or change >= VISIBLE:
        return measured
    return replace(measured, decision=Decision.CLEAN, reason=UNSEEN, image=before)
