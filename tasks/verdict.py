"""Find out what is wrong with a photo: image → Verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from storage.enums import Category, Decision, Degradation

if TYPE_CHECKING:  # commands that show words read this module, and numpy takes them long
    from storage.photos import Image

Scores = Mapping[Category, float]
Severities = Mapping[Degradation, float]

TREATED = {
    Category.SUPER_RESOLUTION: (
        Degradation.NOISE,
        Degradation.COMPRESSION,
        Degradation.SOFTNESS,
    ),
    Category.REFLECTION: (Degradation.REFLECTION,),
    Category.MOTION_BLUR: (Degradation.MOTION,),
    Category.CLEAN: (),
}
"""What each chain is there for."""
FAULTS = {
    Degradation.NOISE: "noise",
    Degradation.COMPRESSION: "blocks of compression",
    Degradation.SOFTNESS: "softness",
    Degradation.MOTION: "motion blur",
    Degradation.REFLECTION: "a reflection",
}
"""The words for what is wrong with a photo."""
SURE_MOVEMENT = 0.85
"""Smallest severity of a movement that is certain: 200 good, soft or varied photos have at most
0.83."""
SMALLEST = 64
"""Pixels of the shorter side of the smallest photo that a classifier may be sure about."""


@dataclass(frozen=True)
class Verdict:
    """What a classifier says of a photo."""

    scores: Scores
    """One for each category, in [0, 1]; they sum to 1."""
    severities: Severities
    """The evidence for each degradation, in [0, 1]; 0 is none."""
    confident: bool
    """Whether the category may be acted on; if not, the photo is left alone as unsure."""
    jpeg_quality: int | None = None
    """Of the photo's file, if it is known: what a restorer undoes depends on it."""
    doubt: str = ""
    """What it may be, and which figure was missing to be sure; empty if nobody knows."""

    @property
    def category(self) -> Category:
        """The likeliest category."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def untouched(self) -> tuple[Decision, str | None] | None:
        """The decision for a photo that no chain may touch, and its reason; None if one may."""
        if not self.confident:
            return Decision.UNSURE, self._doubt
        return (Decision.CLEAN, None) if self.category is Category.CLEAN else None

    @property
    def surely_moved(self) -> bool:
        """Whether the photo is surely moved, even if it is not sure that lite could mend it."""
        moved = self.severities[Degradation.MOTION] >= SURE_MOVEMENT
        return self.category is Category.MOTION_BLUR and moved

    @property
    def _doubt(self) -> str:
        if self.surely_moved:
            return "moved; the paper's engine could try"
        return self.doubt or f"perhaps {self.category} ({self.scores[self.category]:.2f})"

    def asked_for(self, category: Category | None) -> "Verdict":
        """Return the verdict for a photo that the owner wants mended, as `category` if one is named.

        Without one, the likeliest fault is mended. The worst degradation of the category counts as
        certain, so that its chain acts on it.
        """
        mended = {each: score for each, score in self.scores.items() if each is not Category.CLEAN}
        wanted = category or max(mended, key=mended.__getitem__)
        if self.confident and self.category is wanted:
            return self
        worst = max(TREATED[wanted], key=self.severities.__getitem__)
        return replace(
            self, scores={each: float(each is wanted) for each in Category},
            severities={**self.severities, worst: 1.0}, confident=True, doubt="",
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored with a job, without its doubt and its file's quality."""
        return {
            "scores": {name.value: round(score, 4) for name, score in self.scores.items()},
            "severities": {name.value: round(s, 4) for name, s in self.severities.items()},
            "confident": self.confident,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, jpeg_quality: int | None = None) -> Self:
        """Read what `to_json` made; what an older version did not store counts as 0."""
        scores, severities = stored.get("scores", {}), stored.get("severities", {})
        return cls(
            {category: scores.get(category.value, 0.0) for category in Category},
            {kind: severities.get(kind.value, 0.0) for kind in Degradation},
            stored.get("confident", False),
            jpeg_quality,
        )


class Classifier(Protocol):
    """A classifier ready to run."""

    @property
    def name(self) -> str:
        """For the receipt: the network and its version, or the method."""
        ...

    def __call__(self, image: "Image", *, jpeg_quality: int | None = None) -> Verdict:
        """Judge an image, RGB in [0, 1], shape (H, W, 3), any H and W.

        `jpeg_quality` is the one its file was last saved with (1 to 100, from its quantisation
        tables), None where that is unknown.
        """
        ...
