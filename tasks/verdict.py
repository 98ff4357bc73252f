"""Find out what is wrong with a photo: image → Verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from storage.enums import Category, Degradation
from storage.photos import Image

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


@dataclass(frozen=True)
class Verdict:
    """What a classifier says of a photo."""

    scores: Mapping[Category, float]
    """One for each category, in [0, 1]; they sum to 1."""
    severities: Mapping[Degradation, float]
    """The evidence for each degradation, in [0, 1]; 0 is none."""
    confident: bool
    """Whether the category may be acted on; if not, the photo is left alone as unsure."""
    jpeg_quality: int | None = None
    """Of the photo's file, if it is known: what a restorer undoes depends on it."""

    @property
    def category(self) -> Category:
        """The likeliest category."""
        return max(self.scores, key=self.scores.__getitem__)


class Classifier(Protocol):
    """A classifier ready to run."""

    @property
    def name(self) -> str:
        """For the receipt: the network and its version, or the method."""
        ...

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Judge an image, RGB in [0, 1], shape (H, W, 3), any H and W.

        `jpeg_quality` is the one its file was last saved with (1 to 100, from its quantisation
        tables), None where that is unknown.
        """
        ...
