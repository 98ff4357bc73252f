"""From the four letters of a vision-language net to a verdict."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from storage.enums import Category, Degradation
from storage.errors import PhotomendError
from storage.photos import Image
from tasks.paper.classifier.views import TOKEN_PIXELS, Pixels, grey, views
from tasks.verdict import SMALLEST, TREATED, Verdict

Scores = Mapping[Category, float]
"""One for each category, in [0, 1]."""

MIN_SCORES: Scores = MappingProxyType({
    Category.SUPER_RESOLUTION: 0.7,
    Category.REFLECTION: 0.8,
    Category.MOTION_BLUR: 0.8,
    Category.CLEAN: 0.5,
})  # fmt: skip
"""The score from which on each category is believed. Chosen with care, not fitted: the paper gives no
figures, and the best net names 62 % of distortions rightly when there are four to choose from
(DistortBench, arXiv 2604.19966). A clean photo is not touched, so little is asked for it."""
MIN_MASS = 0.5
"""Of all that a net could have said, the least share that the letters must have together."""
MIN_PRIOR = 0.05
"""A letter_category that is said of nothing more seldom counts as if it were said so often."""


class ClassifierUnavailable(PhotomendError, OSError):
    """The classifier cannot be asked now; once the reason that it names is gone, it can.

    It is never the photo's fault. The number makes it category of the machine's errors, so the job waits
    and no attempt is counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, reason)

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Answer:
    """What a net said of some pictures."""

    odds: Scores
    """The probability of each letter_category among all that the net could have said first."""
    measured: bool = True
    """Whether these are the net's own probabilities; if not, they cannot be calibrated."""

    @property
    def mass(self) -> float:
        """How much of all it could have said are the letters, in [0, 1]."""
        return sum(self.odds.values())


Ask = Callable[[Sequence[Pixels]], Answer]


def classify(
    image: Image,
    ask: Ask,
    priors: dict[int, Answer],
    *,
    faithful: bool,
    min_scores: Scores,
    token_pixels: int = TOKEN_PIXELS,
) -> Verdict:
    """Show an image, RGB in [0, 1], shape (H, W, 3), any H and W, and classify by the answer.

    `priors` keeps what is said of grey pictures, by their number. `faithful` asks as the paper does,
    and takes the letters as they come.
    """
    pictures = views(image, faithful=faithful, token_pixels=token_pixels)
    answer, prior = ask(pictures), None
    if answer.measured and not faithful:
        prior = priors.get(len(pictures)) or ask(grey(len(pictures)))
        priors[len(pictures)] = prior
    return verdict(answer, prior, min_scores, large_enough=min(image.shape[:2]) >= SMALLEST)


def verdict(
    answer: Answer, prior: Answer | None, min_scores: Scores, *, large_enough: bool = True
) -> Verdict:
    """Judge by an answer and, if there is category, by what is said of nothing (`prior`).

    The category must be the likeliest before calibration and after it: that grey pictures are called
    clean is also the truth about them, so calibration alone must not make a photo look spoiled.
    """
    uncalibrated = _normalised(answer.odds)
    scores = uncalibrated if prior is None else _calibrated(uncalibrated, prior)
    likeliest = _likeliest(scores)
    confident = (
        large_enough
        and answer.mass >= MIN_MASS
        and likeliest is _likeliest(uncalibrated)
        and scores[likeliest] >= min_scores[likeliest]
    )
    return Verdict(scores, severities(scores), confident)


def severities(scores: Scores) -> dict[Degradation, float]:
    """Give each degradation the score of the category whose chain treats it.

    A letter_category does not tell noise from softness or compression, so all three get that of A: its chain
    is asked to treat each, and the guard asks that the worst of them falls. Whoever has measured
    them knows better.
    """
    category = {kind: category for category, kinds in TREATED.items() for kind in kinds}
    return {kind: scores[category[kind]] for kind in Degradation}


def _calibrated(uncalibrated: Scores, prior: Answer) -> dict[Category, float]:
    """Divide what is said of a photo by what is said of nothing.

    Zhao et al., "Calibrate Before Use", ICML 2021, section 5.
    """
    if prior.mass < MIN_MASS:
        return dict(uncalibrated)
    nothing = _normalised(prior.odds)
    return _normalised(
        {
            category: uncalibrated[category] / max(nothing[category], MIN_PRIOR)
            for category in Category
        }
    )


def _normalised(odds: Scores) -> dict[Category, float]:
    """Scale odds so that they sum to 1; all alike if there are none."""
    total = sum(odds.values())
    return {
        category: odds[category] / total if total > 0 else 1 / len(Category)
        for category in Category
    }


def _likeliest(scores: Scores) -> Category:
    return max(scores, key=scores.__getitem__)
