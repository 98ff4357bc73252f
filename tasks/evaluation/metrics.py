"""Metrics of images (PSNR, SSIM, FSIM) and of verdicts (AUC, calibration)."""

import math
from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging.light import Plane, luma

NORMAL_95 = 1.96
"""Standard deviations on each side that hold 95 % of a normal distribution."""


def psnr(image: Image, truth: Image) -> float:
    """Return the peak signal-to-noise ratio over all channels, in dB; 100 for equal images."""
    error = float(np.mean(np.square(image - truth), dtype=np.float64))
    return 100.0 if error < 1e-10 else -10 * math.log10(error)


def ssim(image: Image, truth: Image) -> float:
    """Return the structural similarity of the brightness, at most 1.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
    section III: a Gaussian window of 11 pixels, sigma 1.5.
    """
    one, other = luma(image), luma(truth)
    mean_one, mean_other = _windowed(one), _windowed(other)
    variance_one = _windowed(one * one) - mean_one**2
    variance_other = _windowed(other * other) - mean_other**2
    shared = _windowed(one * other) - mean_one * mean_other
    first, second = 0.01**2, 0.03**2
    similar = (2 * mean_one * mean_other + first) * (2 * shared + second)
    similar /= (mean_one**2 + mean_other**2 + first) * (variance_one + variance_other + second)
    return float(similar.mean())


def _windowed(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)


# FSIM: Zhang et al., "FSIM: a feature similarity index for image quality assessment", 2011.

FSIM_SIDE = 256
"""Images are shrunk by the whole factor that brings their shorter side nearest to this."""
PHASE_LIMIT, SLOPE_LIMIT = 0.85, 160.0
"""T1 and T2 of section III, for values up to 255."""
SCALES, ORIENTATIONS = 4, 4
SHORTEST_WAVE, WAVE_RATIO, BANDWIDTH, SPREAD = 6.0, 2.0, 0.55, 1.2
"""Of the log-Gabor filters: pixels, from scale to scale, sigma of the radius, and of the angle as a
share of the step between orientations."""
NOISE_DEVIATIONS, CUTOFF, GAIN = 2.0, 0.5, 10.0


def fsim(image: Image, truth: Image) -> float:
    """Return the feature similarity of the brightness, at most 1."""
    one, other = (_shrunk(255 * luma(each)) for each in (image, truth))
    phase_one, phase_other = phase_congruency(one), phase_congruency(other)
    slope_one, slope_other = _slope(one), _slope(other)
    phases = _likeness(phase_one, phase_other, PHASE_LIMIT)
    slopes = _likeness(slope_one, slope_other, SLOPE_LIMIT)
    weight = np.maximum(phase_one, phase_other)
    return float((phases * slopes * weight).sum() / max(float(weight.sum()), 1e-9))


def _likeness(one: Plane, other: Plane, limit: float) -> Plane:
    return np.asarray((2 * one * other + limit) / (one**2 + other**2 + limit), np.float32)


def _shrunk(plane: Plane) -> Plane:
    factor = max(1, round(min(plane.shape) / FSIM_SIDE))
    height, width = (side // factor for side in plane.shape)
    small = cv2.blur(plane, (factor, factor))[::factor, ::factor][:height, :width]
    return np.asarray(small, np.float32)


def _slope(plane: Plane) -> Plane:
    x, y = (cv2.Scharr(plane, cv2.CV_32F, *along) / 16 for along in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(x, y), np.float32)


def phase_congruency(plane: Plane) -> Plane:
    """Return the phase congruency, (H, W) in [0, 1].

    Kovesi, "Image features from phase congruency", 1999, with the noise of the finest scale taken
    off each orientation.
    """
    spectrum = np.fft.fft2(plane)
    agreed, total = np.zeros_like(plane), np.zeros_like(plane)
    for orientation in range(ORIENTATIONS):
        responses = [np.fft.ifft2(spectrum * f) for f in _filters(plane.shape, orientation)]
        amplitudes = [np.abs(response) for response in responses]
        summed, whole = np.sum(responses, axis=0), np.sum(amplitudes, axis=0)
        direction = summed / (np.abs(summed) + 1e-4)
        energy = sum(
            (r * direction.conj()).real - np.abs((r * direction.conj()).imag) for r in responses
        )
        finest = float(np.median(amplitudes[0])) / math.sqrt(math.log(4))
        each = [finest / WAVE_RATIO**scale for scale in range(SCALES)]
        noise = sum(each) * (math.sqrt(math.pi / 2) + NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2))
        width = (whole / (np.max(amplitudes, axis=0) + 1e-4) - 1) / (SCALES - 1)
        weight = 1 / (1 + np.exp(GAIN * (CUTOFF - width)))
        agreed += weight * np.maximum(energy - noise, 0)
        total += whole
    return np.asarray(agreed / (total + 1e-4), np.float32)


@cache
def _filters(shape: tuple[int, int], orientation: int) -> list[Plane]:
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    radius, angle = np.hypot(y, x), np.arctan2(-y, x)
    radius[0, 0] = 1
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    middle = orientation * math.pi / ORIENTATIONS
    apart = np.abs(np.arctan2(np.sin(angle - middle), np.cos(angle - middle)))
    along = np.exp(-(apart**2) / (2 * (math.pi / ORIENTATIONS / SPREAD) ** 2))
    made = []
    for scale in range(SCALES):
        wave = SHORTEST_WAVE * WAVE_RATIO**scale
        gabor = np.exp(-(np.log(radius * wave) ** 2) / (2 * math.log(BANDWIDTH) ** 2)) * low_pass
        gabor[0, 0] = 0
        made.append(np.asarray(gabor * along, np.float32))
    return made


# Verdicts.


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Return the area under the ROC curve; None unless there are positives and negatives."""
    if not positives or not negatives:
        return None
    scores = np.concatenate([positives, negatives])
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    wins = ranks[: len(positives)].sum() - len(positives) * (len(positives) + 1) / 2
    return float(wins / (len(positives) * len(negatives)))


def calibration_error(
    chances: Sequence[float], right: Sequence[bool], bins: int = 10
) -> float | None:
    """Return the expected calibration error of scores in [0, 1]; None if there are none."""
    if not chances:
        return None
    scores, hits = np.asarray(chances), np.asarray(right, np.float64)
    places = np.minimum((scores * bins).astype(int), bins - 1)
    parts = [places == place for place in range(bins)]
    gaps = [abs(scores[p].mean() - hits[p].mean()) * p.sum() for p in parts if p.any()]
    return float(sum(gaps) / len(scores))


def interval(hits: int, number: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    if number == 0:
        return 0.0, 1.0
    share, square = hits / number, NORMAL_95**2
    middle = (share + square / (2 * number)) / (1 + square / number)
    reach = NORMAL_95 * math.sqrt(share * (1 - share) / number + square / (4 * number**2))
    reach /= 1 + square / number
    return max(0.0, middle - reach), min(1.0, middle + reach)
