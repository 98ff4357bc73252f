"""The classifier of the lite engine: two small nets, weighed with measured evidence.

One net looks at crops of native size and sees what cannot be measured, such as noise that
neighbouring pixels share; the evidence keeps it to what is there. The other looks at the whole
photo for the light of a pane, of which it judges alone. How bad a photo must be to be mended was
read off the photos of `make evaluate`; what lies between that and clean is left alone as unsure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging.crops import corners
from tasks.imaging.evidence import Evidence, measure
from tasks.imaging.light import luma
from tasks.lite import onnx_nets
from tasks.lite.fusion import figures_of, weigh
from tasks.lite.veil import veil
from tasks.verdict import SMALLEST, TREATED, Verdict

CATEGORY = {kind: category for category, kinds in TREATED.items() for kind in kinds}
"""Where each degradation is treated."""
MIN_SEVERITY = {
    Degradation.NOISE: 0.983,
    Degradation.COMPRESSION: 0.95,
    Degradation.SOFTNESS: 0.987,
    Degradation.MOTION: 0.972,
    Degradation.REFLECTION: 0.953,
}
"""The severity from which on a photo may be mended: of 219 good photos four are."""
MAX_OTHER_SEVERITY = 0.7
"""The severity of anything else up to which a reflection may be mended that is no ghost: blocks and
blur look like what a pane is seen by."""
MIN_CLEAN_SCORE = 0.5
"""The probability from which on a photo is clean for sure."""
MAX_CROPS = 24
"""So many are shown to the net: 1.5 megapixels of any photo."""
MIN_LEVELS = 16
"""Shades of grey of what may be a photo; what has fewer is drawn."""
Ramp = tuple[float, float, float]
"""The figures that mean nothing, enough to be mended, and the worst."""
QUALITY: Ramp = (90.0, 79.0, 20.0)
"""Of a JPEG file. From 30 to 80, mending 89 of 90 gains 0.78 dB on the mean, and two lose."""
NOISE: Ramp = (2.0, 6.0, 20.0)
"""Sigma of 255, of white noise; of 219 good photos none has more than 5.3."""
GHOST: Ramp = (0.05, 0.2, 0.5)
"""The depth of an echo in the cepstrum."""
MIN_NOISE = 0.05
"""Sigma of 255; what was drawn has less."""
MIN_MOVEMENT_DEPTH = 0.010
"""The depth in the cepstrum from which on a movement explains a fainter ghost."""
HARMONIC = 4.0
"""A ghost this much stronger than the movement explains it (its own second echo), and else not."""

Scores = Mapping[Category, float]
Severities = Mapping[Degradation, float]


@dataclass(frozen=True)
class Lite:
    """Classifies by what a net sees and by measured evidence."""

    name: str = "lite 7"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Judge an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
        evidence, pane = measure(image), veil(image)
        severities, told = weigh(figures_of(logits(image), pane.logit, evidence))
        scores: Scores = told
        severities[Degradation.REFLECTION] = pane.severity  # weighed, it sees less
        if not evidence.noise_sigma:  # a pattern that somebody drew
            severities[Degradation.NOISE] = 0.0
        if _is_smooth(evidence):
            severities[Degradation.SOFTNESS] = severities[Degradation.MOTION] = 0.0
        measured = {
            Degradation.NOISE: (evidence.noise_sigma, NOISE),
            Degradation.REFLECTION: (_ghost(evidence), GHOST),
        }
        if jpeg_quality is not None:
            measured[Degradation.COMPRESSION] = (jpeg_quality, QUALITY)
        measured_severities = {kind: _severity(kind, *figure) for kind, figure in measured.items()}
        for kind, severity in measured_severities.items():
            if severity > severities[kind]:
                severities[kind] = severity
                scores = _raised(scores, CATEGORY[kind], severity)
        bad = [kind for kind in Degradation if severities[kind] >= MIN_SEVERITY[kind]]
        others = [severities[kind] for kind in Degradation if kind is not Degradation.REFLECTION]
        is_ghost = (
            measured_severities[Degradation.REFLECTION] >= MIN_SEVERITY[Degradation.REFLECTION]
        )
        if Degradation.REFLECTION in bad and not is_ghost and max(others) > MAX_OTHER_SEVERITY:
            bad.remove(Degradation.REFLECTION)
        scores = _preferring_treated(scores, severities, bad)
        is_measurable = min(image.shape[:2]) >= SMALLEST and _levels(image) >= MIN_LEVELS
        return Verdict(scores, severities, is_measurable and _confident(scores, bad), jpeg_quality)


def logits(image: Image) -> dict[Degradation, float]:
    """Return what the net says of each degradation: its crops' votes over their weights."""
    side = onnx_nets.side("classifier")
    height, width = image.shape[:2]
    frame = (0, max(0, side - height), 0, max(0, side - width))
    padded = cv2.copyMakeBorder(image, *frame, cv2.BORDER_REFLECT)
    told: NDArray[np.float32] = np.zeros((2, len(Degradation)), np.float32)
    for top, left in corners(padded.shape[0], padded.shape[1], side, MAX_CROPS):
        crop = np.asarray(padded[top : top + side, left : left + side], np.float32)
        told += np.concatenate(onnx_nets.run("classifier", crop))
    votes, weights = told
    return dict(zip(Degradation, map(float, votes / weights), strict=True))


def _is_smooth(evidence: Evidence) -> bool:
    """Return whether there is nothing in the image that a blur could have changed."""
    edges = max(evidence.edge_sigma, evidence.movement_sigma)
    quiet = evidence.noise_sigma < MIN_NOISE and evidence.movement.depth < MIN_MOVEMENT_DEPTH
    return quiet and not edges


def _ghost(evidence: Evidence) -> float:
    """Return the depth of a ghost that no movement explains."""
    ghost, movement = evidence.ghost.depth, evidence.movement.depth
    explained = movement >= MIN_MOVEMENT_DEPTH and ghost < HARMONIC * movement
    return 0.0 if explained else ghost


def _severity(kind: Degradation, figure: float, ramp: Ramp) -> float:
    rising = 1 if ramp[0] < ramp[2] else -1
    marks = [rising * mark for mark in ramp]
    return float(np.interp(rising * figure, marks, (0, MIN_SEVERITY[kind], 1)))


def _preferring_treated(
    scores: Scores, severities: Severities, bad: Sequence[Degradation]
) -> Scores:
    """Let a category that is only likely give way to one whose degradation is bad enough to mend."""
    surest = max(scores, key=scores.__getitem__)
    if not bad or surest in map(CATEGORY.__getitem__, bad):
        return scores
    preferred = CATEGORY[max(bad, key=severities.__getitem__)]
    return {**scores, surest: scores[preferred], preferred: scores[surest]}


def _confident(scores: Scores, bad: Sequence[Degradation]) -> bool:
    surest = max(scores, key=scores.__getitem__)
    if surest is Category.CLEAN:
        return scores[surest] >= MIN_CLEAN_SCORE
    return surest in map(CATEGORY.__getitem__, bad)


def _raised(scores: Scores, category: Category, share: float) -> Scores:
    """Raise a category's share, at the cost of all others."""
    if scores[category] >= share:
        return scores
    others = (1 - share) / (1 - scores[category])
    return {each: others * score for each, score in scores.items()} | {category: share}


def _levels(image: Image) -> int:
    """Count the shades of grey; a chequered board has two."""
    sample = image[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
    return len(np.unique(np.rint(255 * luma(sample))))
