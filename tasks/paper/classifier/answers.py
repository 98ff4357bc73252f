"""Compute a verdict from the probabilities of the four letters of a vision-language net."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from storage.enums import Category, Degradation
from storage.errors import PhotomendError
from storage.photos import Image
from tasks.paper.classifier.views import TOKEN_PIXELS, Pixels, grey, views
from tasks.verdict import SMALLEST, TREATED, Scores, Verdict

MIN_SCORES: Scores = MappingProxyType({
    Category.SUPER_RESOLUTION: 0.7,
    Category.REFLECTION: 0.8,
    Category.MOTION_BLUR: 0.8,
    Category.CLEAN: 0.5,
})  # fmt: skip
"""Smallest score of a confident verdict. Chosen by hand: the paper gives no figures, and the best net
names 62 % of distortions correctly (DistortBench, arXiv 2604.19966)."""
MIN_MASS = 0.5
"""Smallest sum of the probabilities of the four letters, of all first tokens."""
MIN_PRIOR = 0.05
"""Smallest share of a letter on grey pictures by which its score is divided."""


class ClassifierUnavailable(PhotomendError, OSError):
    """The classifier is unavailable; trying again helps once the named reason is gone.

    The photo is not the cause. The errno makes it an error of the machine, so the job waits and no
    attempt is counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, reason)

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Answer:
    """A net's answer on the pictures of one photo."""

    odds: Scores
    """The probability of each letter among all first tokens."""
    measured: bool = True
    """Whether these are the net's own probabilities. If not, they are not calibrated."""

    @property
    def mass(self) -> float:
        """Return the sum of the letters' probabilities, in [0, 1]."""
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
    """Return the verdict of a net on an image, RGB in [0, 1], shape (H, W, 3), any H and W.

    `priors` caches the answers on grey pictures, by the number of pictures. `faithful` shows one
    picture, as the paper does, and skips the calibration.
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
    """Return the verdict of an answer, calibrated by the answer on grey pictures (`prior`).

    A confident category is the likeliest before and after calibration. Grey pictures are in fact
    clean, so calibration alone must not make a photo look degraded.
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
    found, needed = scores[likeliest], min_scores[likeliest]
    missing = f"perhaps {likeliest} ({found:.3g}, {needed:.3g} needed)" if found < needed else ""
    return Verdict(scores, severities(scores), confident, doubt=missing)


def severities(scores: Scores) -> dict[Degradation, float]:
    """Return the score of the category that treats each degradation.

    The letters do not distinguish noise, softness and compression, so all three get the score of A.
    Severities that were measured are better.
    """
    category = {kind: category for category, kinds in TREATED.items() for kind in kinds}
    return {kind: scores[category[kind]] for kind in Degradation}


def _calibrated(uncalibrated: Scores, prior: Answer) -> dict[Category, float]:
    """Divide the scores of a photo by those of grey pictures.

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
    """Return odds scaled to a sum of 1; equal shares if all are 0."""
    total = sum(odds.values())
    return {
        category: odds[category] / total if total > 0 else 1 / len(Category)
        for category in Category
    }


def _likeliest(scores: Scores) -> Category:
    return max(scores, key=scores.__getitem__)
