"""Clean an image up by trained nets: compression first, then noise, then a soft lens.

What came last is undone first: the file's compression, the sensor's noise, the lens.
"""

import numpy as np

from storage.enums import Degradation
from storage.photos import Image
from tasks.imaging.deconvolution import deconvolve
from tasks.imaging.evidence import edge_sigma, views_of
from tasks.imaging.kernels import gaussian
from tasks.imaging.light import luma
from tasks.imaging.tiles import with_low_frequencies_of
from tasks.lite.classifier import MIN_SEVERITY, QUALITY
from tasks.lite.tiled_net import restored
from tasks.verdict import Verdict

LOW_SIGMA = 16.0
"""Pixels from which on colours are the original's."""
MIN_PRESHARPENED_SIGMA, SIGMA_SHARE, ROUNDS = 1.5, 0.6, 8
"""The sigma of the sharpest edges, in pixels, from which on an image is first sharpened by
deconvolution, and by which share of it: better by 0.5 to 1 dB than the net alone from 2 pixels on."""
ORDER = (Degradation.COMPRESSION, Degradation.NOISE, Degradation.SOFTNESS)
MIN_SEVERITY_BESIDE = dict.fromkeys((Degradation.NOISE, Degradation.COMPRESSION), 0.8)
"""The severity from which on these are taken out of a photo that is mended anyway: 30 photos with noise
and blocks gain 2.9 instead of 2.1 dB on the mean."""
SHARE_BESIDE_BLOCKS = 0.5
"""By how much a photo is sharpened that also had blocks, which look soft: of 8 that had nothing but blocks
full sharpening harmed two, by 0.2 and 1.8 dB, and half none; 4 that were soft gain 0.7 instead of 0.9 dB."""


def clean(image: Image, verdict: Verdict) -> Image:
    """Take compression and noise out, and sharpen a soft image: each if it is bad enough."""
    severities = verdict.severities
    treated = [
        kind
        for kind in ORDER
        if severities[kind] >= MIN_SEVERITY_BESIDE.get(kind, MIN_SEVERITY[kind])
    ]
    cleaned = image
    for kind in treated:
        if kind is not Degradation.SOFTNESS:
            cleaned = restored(cleaned, kind.value, _conditions(kind, verdict.jpeg_quality))
    if Degradation.SOFTNESS in treated:
        sharp = restored(_presharpened(cleaned), Degradation.SOFTNESS.value)
        share = SHARE_BESIDE_BLOCKS if Degradation.COMPRESSION in treated else 1.0
        cleaned = cleaned + np.float32(share) * (sharp - cleaned)
    return with_low_frequencies_of(image, cleaned, LOW_SIGMA)


def _conditions(degradation: Degradation, jpeg_quality: int | None) -> tuple[float, ...]:
    """Tell the net against compression what the file lost, 0 where that is unknown.

    A good file whose photo has blocks was saved before, and then its quality says nothing of them.
    """
    if degradation is not Degradation.COMPRESSION:
        return ()
    if jpeg_quality is None or jpeg_quality > QUALITY[1]:
        return (0.0,)
    return (1 - jpeg_quality / 100,)


def _presharpened(image: Image) -> Image:
    """Bring an image that is softer than the net has learnt half-way to where the net can go on."""
    sigma = edge_sigma(views_of(luma(image)))
    return (
        deconvolve(image, gaussian(SIGMA_SHARE * sigma), ROUNDS)
        if sigma >= MIN_PRESHARPENED_SIGMA
        else image
    )


def clean_letters(image: Image, verdict: Verdict) -> Image:
    """Treat letters gently: half of what the rest gets, so that no stroke is smoothed away."""
    return image + np.float32(0.5) * (clean(image, verdict) - image)
