"""The classifier of the lite engine: two small nets and measured evidence.

One net classifies crops of native resolution; a perceptron combines its logits with the evidence.
The other net finds reflections in the whole photo, and decides alone on their severity. How severe
noise is, and how severe compression, softness and movements may be, follows from trials of their
removal on crops. A photo whose severities are neither low nor high enough is left alone as unsure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging.crops import corners
from tasks.imaging.evidence import Evidence, measure
from tasks.imaging.light import luma
from tasks.imaging.shared_kernel import CROP
from tasks.lite import onnx_nets
from tasks.lite.fusion import figures_of, weigh
from tasks.lite.limits import MIN_SEVERITY
from tasks.lite.motion import removal
from tasks.lite.trial import visible_removal
from tasks.lite.veil import Veil, veil
from tasks.verdict import (
    FAULTS,
    SMALLEST,
    SURE_MOVEMENT,
    TREATED,
    Scores,
    Severities,
    Verdict,
)

CATEGORY = {kind: category for category, kinds in TREATED.items() for kind in kinds}
"""The category in which each degradation is treated."""
MAX_OTHER_SEVERITY = 0.7
"""Largest severity of blur beside a reflection that is mended, unless it is a ghost."""
LIKE_A_REFLECTION = (Degradation.SOFTNESS, Degradation.MOTION)
"""Blur, which the net against reflections takes for one."""
BESIDE_A_REFLECTION = {Degradation.REFLECTION, Degradation.COMPRESSION}
"""What the chain against reflections treats."""
LIKELY_REFLECTION = 0.7
"""Smallest severity of a reflection that is likely."""
TRIED_MOVEMENT = 0.5
"""Smallest severity of a movement whose removal is tried; 164 good photos have at most 0.42."""
UNMENDED = 0.99
"""Share of `MIN_SEVERITY` that is the severity of what is seen but cannot be mended."""
MIN_CLEAN_SCORE = 0.5
"""Smallest probability of a confident verdict of clean."""
MAX_CROPS = 24
"""Most crops that the net classifies: 1.5 megapixels of any photo."""
MIN_LEVELS = 16
"""Fewest levels of grey of a photo; a drawing has fewer."""
Ramp = tuple[float, float, float]
"""The figures of severity 0, of `MIN_SEVERITY`, and of severity 1."""
QUALITY: Ramp = (90.0, 79.0, 20.0)
"""Quality of a JPEG file; chosen on 90 photos of qualities 30 to 80 (`docs/experiments.md`)."""
VISIBLE_CHANGE: Ramp = (0.0, 0.7, 4.0)
"""Visible change by a trial of a restorer's net, in CIEDE2000. More than `visibility.VISIBLE`, as
crops are only a sample: what is begun is then rarely given up."""
VISIBLE_NOISE: Ramp = (0.0, 0.6, 4.0)
"""The same for noise, of which the half of the blocks counts."""
TRIED = (Degradation.NOISE, Degradation.COMPRESSION, Degradation.SOFTNESS)
"""The degradations whose removal is tried on crops."""
MIN_TRIED_SEVERITY = 0.8
"""Smallest severity that is tried; no smaller one is a reason to act."""
MIN_FLATTENING = 0.5
"""Smallest severity of compression that explains flat places without any noise: photos of quality
75 have 0.54 and more, screens 0.01."""
GHOST: Ramp = (0.05, 0.2, 0.5)
"""Depth of a ghost in the cepstrum."""
MIN_NOISE = 0.05
"""Smallest sigma of the noise of a photo, of 255; drawings have less."""
MIN_MOVEMENT_DEPTH = 0.010
"""Smallest depth in the cepstrum of a movement that explains a ghost."""
HARMONIC = 4.0
"""A ghost deeper than this many times the movement is no echo of the movement."""


@dataclass(frozen=True)
class Lite:
    """Classifies images by two nets and measured evidence."""

    name: str = "lite 8"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Return the verdict on an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
        evidence, found = measure(image), veil(image)
        combined, votes = weigh(figures_of(logits(image), found.logit, evidence))
        ghost = _severity(Degradation.REFLECTION, _ghost(evidence), GHOST)
        combined[Degradation.REFLECTION] = max(ghost, _veil_severity(found))
        severities = _corrected(combined, evidence, jpeg_quality)
        is_measurable = min(image.shape[:2]) >= SMALLEST and _levels(image) >= MIN_LEVELS
        if is_measurable:
            severities = _tried(image, severities, jpeg_quality)
        else:
            severities[Degradation.NOISE] = combined[Degradation.NOISE]
        bad = to_mend(severities, ghost)
        scores = _scores(votes, severities, bad)
        sure = is_measurable and _confident(scores, bad)
        doubt = _doubt(scores, severities) if is_measurable else _unmeasurable(image)
        return Verdict(scores, severities, sure, jpeg_quality, "" if sure else doubt)


def logits(image: Image) -> dict[Degradation, float]:
    """Return the net's logit of each degradation: the crops' weighted votes over their weights."""
    side = onnx_nets.CLASSIFIER_SIDE
    height, width = image.shape[:2]
    frame = (0, max(0, side - height), 0, max(0, side - width))
    padded = cv2.copyMakeBorder(image, *frame, cv2.BORDER_REFLECT)
    totals: NDArray[np.float32] = np.zeros((2, len(Degradation)), np.float32)
    for top, left in corners(padded.shape[0], padded.shape[1], side, MAX_CROPS):
        crop = np.asarray(padded[top : top + side, left : left + side], np.float32)
        totals += np.concatenate(onnx_nets.run("classifier", crop))
    votes, weights = totals
    return dict(zip(Degradation, map(float, votes / weights), strict=True))


def _corrected(
    combined: Severities, evidence: Evidence, jpeg_quality: int | None
) -> dict[Degradation, float]:
    """Return the combined severities, corrected by what is measured, and by the file's quality."""
    severities = dict(combined)
    if _is_smooth(evidence):
        severities[Degradation.SOFTNESS] = severities[Degradation.MOTION] = 0.0
    if jpeg_quality is not None:
        of_file = _severity(Degradation.COMPRESSION, jpeg_quality, QUALITY)
        severities[Degradation.COMPRESSION] = max(severities[Degradation.COMPRESSION], of_file)
    is_flat = not evidence.noise_sigma  # compression flattens, and so does drawing
    is_drawn = is_flat and severities[Degradation.COMPRESSION] < MIN_FLATTENING
    severities[Degradation.NOISE] = 0.0 if is_drawn else 1.0  # how strong it is, a trial shows
    return severities


def _tried(
    image: Image, severities: dict[Degradation, float], jpeg_quality: int | None
) -> dict[Degradation, float]:
    """Return the severities after trials on crops, as far as a removal would be visible or good."""
    for kind in TRIED:
        if severities[kind] >= MIN_TRIED_SEVERITY:
            change = visible_removal(image, kind, jpeg_quality)
            ramp = VISIBLE_NOISE if kind is Degradation.NOISE else VISIBLE_CHANGE
            severities[kind] = min(severities[kind], _severity(kind, change, ramp))
    if _may_have_moved(severities, min(image.shape[:2])):
        severities[Degradation.MOTION] = _tried_movement(image, severities[Degradation.MOTION])
    return severities


def _veil_severity(found: Veil) -> float:
    """Return the severity of a veil; the net against reflections is surer than the combined one."""
    most = 1.0 if found.shows_a_scene else UNMENDED * MIN_SEVERITY[Degradation.REFLECTION]
    return min(found.severity, most)


def _may_have_moved(severities: Severities, shorter_side: int) -> bool:
    """Return whether it is tried to remove a movement: if it is certain, or likely and alone.

    A small photo has one crop to try it on, or crops that overlap: its movement must be surer.
    """
    certain = {kind for kind in Degradation if severities[kind] >= MIN_SEVERITY[kind]}
    least = TRIED_MOVEMENT if shorter_side >= 2 * CROP else SURE_MOVEMENT
    likely = severities[Degradation.MOTION] >= least
    return Degradation.MOTION in certain or (likely and not certain)


def _tried_movement(image: Image, severity: float) -> float:
    """Return the severity of a movement: raised if it can be removed, lowered if not."""
    least = MIN_SEVERITY[Degradation.MOTION]
    return min(severity, UNMENDED * least) if removal(image) is None else max(severity, least)


def to_mend(severities: Severities, ghost_severity: float) -> list[Degradation]:
    """Return the degradations that are severe enough to be mended.

    Blocks beside a likely reflection are mended with it, or not for their own sake.
    """
    bad = [kind for kind in Degradation if severities[kind] >= MIN_SEVERITY[kind]]
    others = [severities[kind] for kind in LIKE_A_REFLECTION]
    is_ghost = ghost_severity >= MIN_SEVERITY[Degradation.REFLECTION]
    if Degradation.REFLECTION in bad and not is_ghost and max(others) > MAX_OTHER_SEVERITY:
        bad.remove(Degradation.REFLECTION)
    likely = severities[Degradation.REFLECTION] >= LIKELY_REFLECTION
    if likely and Degradation.COMPRESSION in bad and not _for_reflections(bad):
        bad.remove(Degradation.COMPRESSION)
    return bad


def _for_reflections(bad: Sequence[Degradation]) -> bool:
    """Return whether the chain against reflections treats all that is to be mended."""
    return Degradation.REFLECTION in bad and {*bad} <= BESIDE_A_REFLECTION


def _is_smooth(evidence: Evidence) -> bool:
    """Return whether the image has no detail that a blur could have changed."""
    edges = max(evidence.edge_sigma, evidence.movement_sigma)
    quiet = evidence.noise_sigma < MIN_NOISE and evidence.movement.depth < MIN_MOVEMENT_DEPTH
    return quiet and not edges


def _ghost(evidence: Evidence) -> float:
    """Return the depth of the ghost, or 0 if a movement explains it."""
    ghost, movement = evidence.ghost.depth, evidence.movement.depth
    explained = movement >= MIN_MOVEMENT_DEPTH and ghost < HARMONIC * movement
    return 0.0 if explained else ghost


def _severity(kind: Degradation, figure: float, ramp: Ramp) -> float:
    rising = 1 if ramp[0] < ramp[2] else -1
    marks = [rising * mark for mark in ramp]
    return float(np.interp(rising * figure, marks, (0, MIN_SEVERITY[kind], 1)))


def _scores(scores: Scores, severities: Severities, bad: Sequence[Degradation]) -> Scores:
    """Return the scores of the categories, with what is to be mended raised, and preferred.

    A reflection is preferred to blocks, which its chain removes, too.
    """
    raised = {*bad} - {Degradation.REFLECTION}
    if _for_reflections(bad):
        raised = {Degradation.REFLECTION}
    for kind in raised:
        scores = _raised(scores, CATEGORY[kind], severities[kind])
    return _preferring_treated(_without_unseen(scores, severities), severities, bad)


def _preferring_treated(
    scores: Scores, severities: Severities, bad: Sequence[Degradation]
) -> Scores:
    """Put the category of the worst treated degradation first, unless a treated one is first."""
    surest = max(scores, key=scores.__getitem__)
    if not bad or surest in map(CATEGORY.__getitem__, bad):
        return scores
    preferred = CATEGORY[max(bad, key=severities.__getitem__)]
    return {**scores, surest: scores[preferred], preferred: scores[surest]}


def _without_unseen(scores: Scores, severities: Severities) -> Scores:
    """Exchange the scores of super-resolution and clean if no trial showed what could be mended."""
    category, clean = Category.SUPER_RESOLUTION, Category.CLEAN
    unseen = max(severities[kind] for kind in TREATED[category]) < MIN_TRIED_SEVERITY
    if not unseen or scores[category] < max(scores.values()):
        return scores
    return {**scores, category: scores[clean], clean: scores[category]}


def _confident(scores: Scores, bad: Sequence[Degradation]) -> bool:
    surest = max(scores, key=scores.__getitem__)
    if surest is Category.CLEAN:
        return scores[surest] >= MIN_CLEAN_SCORE
    return surest in map(CATEGORY.__getitem__, bad)


def _doubt(scores: Scores, severities: Severities) -> str:
    """Return what an unsure verdict may be, and the figure that was missing."""
    surest = max(scores, key=scores.__getitem__)
    if surest is Category.CLEAN:
        return f"perhaps clean ({scores[surest]:.3g}, {MIN_CLEAN_SCORE} needed)"
    kind = max(TREATED[surest], key=lambda kind: severities[kind] / MIN_SEVERITY[kind])
    found, needed = severities[kind], MIN_SEVERITY[kind]
    if found >= needed:
        return f"perhaps {FAULTS[kind]}, but something else may look like it"
    return f"perhaps {FAULTS[kind]} ({found:.3g}, {needed:.3g} needed)"


def _unmeasurable(image: Image) -> str:
    side = min(image.shape[:2])
    if side < SMALLEST:
        return f"too small to be judged ({side} pixels, {SMALLEST} needed)"
    return f"too few shades of grey to be judged ({_levels(image)}, {MIN_LEVELS} needed)"


def _raised(scores: Scores, category: Category, share: float) -> Scores:
    """Raise a category's score to `share`, and lower all others in proportion."""
    if scores[category] >= share:
        return scores
    others = (1 - share) / (1 - scores[category])
    return {each: others * score for each, score in scores.items()} | {category: share}


def _levels(image: Image) -> int:
    """Return the number of levels of grey in a sample of the pixels."""
    sample = image[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
    return len(np.unique(np.rint(255 * luma(sample))))
