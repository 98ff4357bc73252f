"""Classify, restore and guard one image: the core of the worker, `evaluate`, `compare` and the demo.

No file, database or device is touched here; the parts of the engine are given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from storage.enums import Category, Decision, LeastChange
from storage.photos import Image
from tasks import guard
from tasks.chains import Chain
from tasks.imaging.visibility import VISIBLE, visible_change
from tasks.imaging.wrapping import border, unwrapped, wrapped
from tasks.receipt import Receipt
from tasks.verdict import Classifier, Verdict

UNSEEN = "nothing a person would see"
"""Why a result that the guard accepted is not kept."""


@dataclass(frozen=True)
class Engine:
    """The parts that mend an image, each loaded when it is first asked for."""

    classifier: Callable[[], Classifier]
    chain: Callable[[Category], Chain]
    least_change: LeastChange = LeastChange.VISIBLE
    """Which of the results that the guard accepts are kept."""


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

    @property
    def record(self) -> dict[str, Any]:
        """The JSON object that is stored with a job."""
        return {
            "steps": self.receipt.steps,
            "guard": {name: round(figure, 5) for name, figure in self.figures.items()},
            "generative": self.receipt.generative,
        }


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
        return _restored(image, chain, verdict, engine.least_change)
    wide = wrapped(image)
    mended = _restored(wide, chain, verdict, engine.least_change)
    if mended.image is wide:
        return replace(mended, image=image)
    return replace(mended, image=unwrapped(mended.image, border(image) * chain.scale))


def _restored(image: Image, chain: Chain, verdict: Verdict, least: LeastChange) -> Mended:
    """Restore an image, and keep of it what the guard accepts; nothing if a network fails at it."""
    receipt = Receipt()
    try:
        made = chain(image, verdict, receipt)
    except FloatingPointError as error:
        return Mended(verdict, Decision.KEPT_ORIGINAL, str(error), image, receipt, failed="pixels")
    judgement = guard.judge(
        image, made, verdict.category,
        scale=chain.scale, text=receipt.text, generative=receipt.generative,
    )  # fmt: skip
    mended = Mended(
        verdict, Decision.RESTORED if judgement.kept else Decision.KEPT_ORIGINAL, judgement.reason,
        judgement.image, receipt, judgement.figures, judgement.failed,
    )  # fmt: skip
    return mended if chain.scale > 1 else _if_visible(image, mended, least)


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
