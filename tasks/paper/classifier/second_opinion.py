"""Combine two classifiers: a photo is mended only if they do not contradict each other.

| first  | second | then                                                                    |
|--------|--------|-------------------------------------------------------------------------|
| sure   | sure   | the category, if it is the same; else unsure                            |
| sure   | unsure | the first's: it measures                                                |
| unsure | sure   | the category, if it is the first's likeliest, too; else unsure          |
| unsure | unsure | unsure, even if the likeliest category is the same                      |

So the second classifier can veto the first or decide where the first is unsure, but a photo is
never mended against the measurements: leaving a photo alone is less harmful than degrading it.
"""

from dataclasses import dataclass, replace

from storage.enums import Category
from storage.photos import Image
from tasks.verdict import Classifier, Verdict


@dataclass(frozen=True)
class SecondOpinion:
    """Runs a classifier that measures, then a vision-language model."""

    first: Classifier
    second: Classifier

    @property
    def name(self) -> str:
        """Return both names, for the receipt."""
        return f"{self.first.name}, then {self.second.name}"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Return the verdict on an image, RGB in [0, 1], shape (H, W, 3), any H and W.

        Severities are the first's, which distinguishes the degradations of a category.
        """
        first = self.first(image, jpeg_quality=jpeg_quality)
        second = self.second(image, jpeg_quality=jpeg_quality)
        if first.confident and not second.confident:
            return first
        agree = first.category is second.category
        sure = second.confident and agree
        doubt = first.doubt
        if first.confident and second.confident:
            doubt = f"perhaps {first.category} or {second.category}: two classifiers disagree"
        return replace(first, scores=_mean(first, second), confident=sure, doubt=doubt)


def _mean(first: Verdict, second: Verdict) -> dict[Category, float]:
    return {one: (first.scores[one] + second.scores[one]) / 2 for one in Category}
