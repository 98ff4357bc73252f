"""Clean an image up: noise by a trained net, then compression, then a soft lens."""

import numpy as np

from storage.kinds import Degradation
from storage.photos import Image
from tasks.classifiers import Verdict
from tasks.classifiers.evidence import edge_sigma, views_of
from tasks.classifiers.lite import ACT, QUALITY
from tasks.kernels import disc
from tasks.light import luma
from tasks.restorers.deconvolution import deconvolve
from tasks.restorers.network import restored
from tasks.restorers.shrinkage import against_jpeg, shrink
from tasks.restorers.tiles import with_low_frequencies_of

FAINT = 0.3
"""A severity below which a degradation is left as it is."""
ROUNDS = 8
"""Of sharpening: few, because a soft photo also is a noisy or a compressed one."""
LOW_SIGMA = 16.0
"""Pixels from which on colours are the original's."""


def clean(image: Image, verdict: Verdict) -> Image:
    """Take noise and compression out, and sharpen a soft image."""
    return _kept(image, _sharpened(_calmed(image, verdict), image, verdict))


def sharpen_letters(image: Image, verdict: Verdict) -> Image:
    """Treat letters gently: half of the calming, so that no stroke is smoothed away."""
    calmed = np.float32(0.5) * (image + _calmed(image, verdict))
    return _kept(image, _sharpened(calmed, image, verdict))


def _calmed(image: Image, verdict: Verdict) -> Image:
    noise = verdict.severities[Degradation.NOISE]
    compression = verdict.severities[Degradation.COMPRESSION]
    if noise >= FAINT:
        image = restored(image, "noise", min(1.0, noise / ACT))
    if compression >= FAINT:
        image = shrink(image, against_jpeg(float(np.interp(compression, (0, ACT, 1), QUALITY))))
    return image


def _sharpened(calmed: Image, image: Image, verdict: Verdict) -> Image:
    softness = verdict.severities[Degradation.SOFTNESS]
    if softness < FAINT or verdict.severities[Degradation.NOISE] >= ACT:
        return calmed
    strength = min(1.0, softness / ACT)
    sharp = deconvolve(calmed, disc(edge_sigma(views_of(luma(image)))), ROUNDS)
    return calmed + np.float32(strength) * (sharp - calmed)


def _kept(image: Image, restored: Image) -> Image:
    return with_low_frequencies_of(image, restored, LOW_SIGMA)
