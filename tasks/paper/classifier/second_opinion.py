"""Two classifiers that must not contradict each other before a photo is touched.

| first  | second | then                                                                    |
|--------|--------|-------------------------------------------------------------------------|
| sure   | sure   | the category, if it is the same; else unsure                            |
| sure   | unsure | the first's: it measures, and its word alone was enough before          |
| unsure | sure   | the second's, if the first leans the same way, too; else unsure         |
| unsure | unsure | unsure, even if both lean the same way                                  |

So the second can keep a photo from being touched, and can tip the scales where the first hesitates,
but never has one mended against what was measured: a photo that is not mended can still be mended
tomorrow, and a good one that was harmed is a reason to stop using the program.
"""

from dataclasses import dataclass, replace

from storage.enums import Category
from storage.photos import Image
from tasks.verdict import Classifier, Verdict


@dataclass(frozen=True)
class SecondOpinion:
    """Asks a classifier that measures, then one that sees."""

    first: Classifier
    second: Classifier

    @property
    def name(self) -> str:
        """Both names, for the receipt."""
        return f"{self.first.name}, then {self.second.name}"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Judge an image, RGB in [0, 1], shape (H, W, 3), any H and W.

        Severities are the first's: it tells the degradations of a category apart.
        """
        first = self.first(image, jpeg_quality=jpeg_quality)
        second = self.second(image, jpeg_quality=jpeg_quality)
        if first.confident and not second.confident:
            return first
        agree = first.category is second.category
        sure = second.confident and agree
        return replace(first, scores=_mean(first, second), confident=sure)


def _mean(first: Verdict, second: Verdict) -> dict[Category, float]:
    return {one: (first.scores[one] + second.scores[one]) / 2 for one in Category}
