"""Compare the spectra of a photo and its result, averaged over windows (Welch, 1967).

*Unexplained*: no kernel maps the result back to the photo. The least squares kernel in the Fourier
domain leaves the share 1 - coherence of each frequency's energy: Carter, "Coherence and time delay
estimation", 1987. What is noise in the photo is left out, and so are windows with clipped lights.

*Repaired*: a movement makes dents in a spectrum, which in photos falls evenly with the frequency
(Field, "Relations between the statistics of natural images", 1987). A right kernel fills them, so
its change of the log spectrum is correlated with the dents, negatively. A wrong one makes others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.imaging.light import Plane

SIDE, STEP = 128, 64
"""Side of a window, and distance from one to the next, in pixels."""
MAX_WINDOWS = 200
"""Most windows of a photo; more of them change the mean no more."""
MIN_WINDOWS = 8
"""Fewest windows: the coherence of few is too high."""
BAND, MOVEMENT_BAND, NOISE_FROM = (0.02, 0.25), (0.03, 0.2), 0.4
"""Cycles per pixel that are compared, those in which a movement's dents lie, and from where on there
is only noise."""
LIGHT, MAX_LIGHT_SHARE = 0.99, 0.05
"""Brightness of a clipped light, and the largest share of a window that may have it."""
MIN_SHARPENED = 0.5
"""Smallest mean rise of the log spectrum that must be a repair: what rises less is no
deconvolution."""

TAPER = np.outer(np.hanning(SIDE), np.hanning(SIDE))
"""Weights of the pixels of a window."""

Spectrum = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """What the spectra of a photo and its result show."""

    unexplained: float = 0.0
    """Share of the photo's energy that no kernel makes of the result, without noise, or share of
    the result's that none makes of the photo; the smaller one, since noise leaves the photo."""
    repaired: float = 1.0
    """Correlation of dents and their filling, -1 to 1; 1 where the spectrum hardly rose."""


def compare(before: Plane, after: Plane) -> Comparison:
    """Compare the spectra of the brightness; a small photo has too few windows to compare."""
    windows = _windows(before)
    if len(windows) < MIN_WINDOWS:
        return Comparison()
    old, new = np.zeros((2, SIDE, SIDE // 2 + 1))
    shared = np.zeros((SIDE, SIDE // 2 + 1), np.complex128)
    for rows, columns in windows:
        one, other = (_transform(plane[rows, columns]) for plane in (before, after))
        old += np.abs(one) ** 2
        new += np.abs(other) ** 2
        shared += one * other.conj()
    return Comparison(_unexplained(old, new, shared), _repaired(old, new))


def _windows(plane: Plane) -> list[tuple[slice, slice]]:
    height, width = plane.shape
    every = [
        (slice(top, top + SIDE), slice(left, left + SIDE))
        for top in range(0, height - SIDE + 1, STEP)
        for left in range(0, width - SIDE + 1, STEP)
    ]
    chosen = every[:: -(-len(every) // MAX_WINDOWS) or 1]
    return [each for each in chosen if (plane[each] > LIGHT).mean() <= MAX_LIGHT_SHARE]


def _transform(window: Plane) -> NDArray[np.complex128]:
    return np.fft.rfft2((window - window.mean()) * TAPER)


def _frequencies() -> Spectrum:
    rows, columns = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    return np.asarray(np.hypot(rows, columns), np.float64)


def _unexplained(old: Spectrum, new: Spectrum, shared: NDArray[np.complex128]) -> float:
    frequency = _frequencies()
    inside = (frequency > BAND[0]) & (frequency < BAND[1])
    coherent = np.abs(shared[inside]) ** 2
    of_photo = (old[inside] - coherent / (new[inside] + 1e-9)).sum()
    of_photo -= old[frequency > NOISE_FROM].mean() * inside.sum()
    of_result = (new[inside] - coherent / (old[inside] + 1e-9)).sum()
    shares = of_photo / (old[inside].sum() + 1e-9), of_result / (new[inside].sum() + 1e-9)
    return float(max(0.0, min(shares)))


def _repaired(old: Spectrum, new: Spectrum) -> float:
    frequency = _frequencies()
    inside = (frequency > MOVEMENT_BAND[0]) & (frequency < MOVEMENT_BAND[1])
    distance = np.log(frequency[inside])
    smooth = np.stack([np.ones_like(distance), distance, distance**2], axis=1)
    before, after = (np.log(each[inside] + 1e-9) for each in (old, new))
    dents, filling = (
        each - smooth @ np.linalg.lstsq(smooth, each, rcond=None)[0]
        for each in (before, after - before)
    )
    if (after - before).mean() < MIN_SHARPENED:
        return 1.0
    return -float((dents * filling).mean() / (dents.std() * filling.std() + 1e-9))
