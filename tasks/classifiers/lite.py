"""The classifier of the lite engine: a small net on native-size crops beside measured evidence.

The net sees noise that cannot be measured and doubts movements; all else is measured. Every ramp
was read off photos that are known to be good and off the same photos spoiled by a known amount
(`python -m tasks.training.calibrate` prints the table). Where the evidence lies between what good
photos show and what spoiled ones do, the photo is left alone as unsure.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.kinds import Category, Degradation
from storage.photos import Image
from tasks import weights
from tasks.classifiers import Verdict
from tasks.classifiers.crops import corners
from tasks.classifiers.echoes import Echo
from tasks.classifiers.evidence import Evidence, measure

ACT, CLEAN = 0.6, 0.4
"""A severity from which on a photo may be mended, and up to which it is taken for clean."""
MOST_CROPS = 24
"""So many are shown to the net: 1.5 megapixels of any photo."""
SMALLEST = 64
"""Pixels of the shorter side of the smallest photo that there is enough to be measured in."""
HARMONIC = 4.0
"""A ghost this much stronger than the movement explains it (its own second echo), and else not."""

Ramp = tuple[float, float, float]
"""The figures that mean a severity of 0, of `ACT` and of 1."""
NOISE: Ramp = (1.5, 5.5, 16.0)
"""Sigma of the brightness, of 255: two thirds of that of each channel."""
NOISE_SEEN: Ramp = (-1.5, 1.0, 8.0)
"""What the net says, as a logit: it sees noise that neighbouring pixels share, which has no sigma
to be measured. The fine grain of a film stays below `ACT` (sigma 2.5 of 255)."""
STEP: Ramp = (0.7, 1.42, 4.0)
"""Of 255, at the borders of blocks."""
LONE_STEP: Ramp = (0.1, 0.2, 1.2)
"""Beside the photo's mean step."""
QUALITY: Ramp = (60.0, 28.0, 8.0)
"""Of the JPEG file."""
SOFTNESS: Ramp = (0.9, 1.35, 3.0)
"""Sigma of the sharpest edges in pixels."""
GHOST: Ramp = (0.05, 0.13, 0.5)
MOVEMENT: Ramp = (0.010, 0.021, 0.08)
"""Depths in the cepstrum."""
LEAST_MOVED = -1.2
"""A movement must also be seen by the net, as a logit, to be more than `DOUBTFUL`: patterns of the
scene have echoes, too."""
DOUBTFUL = 0.5
MOVED_EDGES: Ramp = (1.0, 1.5, 3.5)
"""Sigma of the edges that the movement runs across, in pixels."""


@dataclass(frozen=True)
class Lite:
    """Classifies by what a net sees and by measured evidence."""

    name: str = "lite 2"

    def __call__(self, image: Image, *, jpeg_quality: int | None = None) -> Verdict:
        """Judge an image, RGB in [0, 1], shape (H, W, 3), any H and W."""
        severities = severities_of(logits(image), measure(image), jpeg_quality)
        scores = _scores(severities)
        surest = max(scores, key=scores.__getitem__)
        enough = min(image.shape[:2]) >= SMALLEST
        return Verdict(scores, severities, enough and _confident(surest, severities))


def logits(image: Image) -> dict[Degradation, float]:
    """Return what the net says of each degradation: its crops' votes over their weights."""
    side = weights.side("classifier")
    height, width = image.shape[:2]
    frame = (0, max(0, side - height), 0, max(0, side - width))
    framed = cv2.copyMakeBorder(image, *frame, cv2.BORDER_REFLECT)
    told: NDArray[np.float32] = np.zeros((2, len(Degradation)), np.float32)
    for top, left in corners(framed.shape[0], framed.shape[1], side, MOST_CROPS):
        crop = np.asarray(framed[top : top + side, left : left + side], np.float32)
        told += np.concatenate(weights.run("classifier", crop))
    votes, shares = told
    return dict(zip(Degradation, map(float, votes / shares), strict=True))


def severities_of(
    told: dict[Degradation, float], evidence: Evidence, jpeg_quality: int | None
) -> dict[Degradation, float]:
    """Turn what the net says and what was measured into severities in [0, 1]."""
    noise = _severity(evidence.noise_sigma, NOISE)
    if evidence.noise_sigma:  # else it is a pattern that somebody drew
        noise = max(noise, _severity(told[Degradation.NOISE], NOISE_SEEN))
    step, lone_step = evidence.blockiness
    blocks = min(_severity(step, STEP), _severity(lone_step, LONE_STEP))
    tables = 0.0 if jpeg_quality is None else _severity(jpeg_quality, QUALITY)
    ghost, movement = _either(evidence.ghost, evidence.movement)
    moved_edges = _severity(evidence.movement_sigma, MOVED_EDGES)
    motion = (_severity(movement, MOVEMENT) * moved_edges) ** 0.5
    if told[Degradation.MOTION] < LEAST_MOVED:
        motion = min(motion, DOUBTFUL)
    return {
        Degradation.NOISE: noise,
        Degradation.COMPRESSION: max(blocks, tables),
        Degradation.SOFTNESS: _severity(evidence.edge_sigma, SOFTNESS),
        Degradation.MOTION: motion,
        Degradation.REFLECTION: _severity(ghost, GHOST),
    }


def _either(ghost: Echo, movement: Echo) -> tuple[float, float]:
    """Keep of a ghost and a movement the depth of the one that explains the other."""
    if ghost.depth >= HARMONIC * movement.depth:
        return ghost.depth, 0.0
    return (0.0 if movement.depth >= MOVEMENT[0] else ghost.depth), movement.depth


def _severity(figure: float, ramp: Ramp) -> float:
    rising = 1 if ramp[0] < ramp[2] else -1
    return float(np.interp(rising * figure, [rising * mark for mark in ramp], (0, ACT, 1)))


def _scores(severities: dict[Degradation, float]) -> dict[Category, float]:
    """Give each category its share: the worst of its severities, and what is left for clean."""
    motion, reflection = severities[Degradation.MOTION], severities[Degradation.REFLECTION]
    softness = severities[Degradation.SOFTNESS] * (motion < ACT)  # a movement is soft too
    worst = {
        Category.SUPER_RESOLUTION: max(
            severities[Degradation.NOISE], severities[Degradation.COMPRESSION], softness
        ),
        Category.REFLECTION: reflection,
        Category.MOTION_BLUR: motion,
    }
    worst[Category.CLEAN] = 1 - max(worst.values())
    total = sum(worst.values())
    return {category: score / total for category, score in worst.items()}


def _confident(surest: Category, severities: dict[Degradation, float]) -> bool:
    worst = max(severities.values())
    return worst <= CLEAN if surest is Category.CLEAN else worst >= ACT
