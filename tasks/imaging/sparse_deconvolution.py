"""Remove a blur of known kernel from an image whose detail is sparse, and whose lights may be clipped.

Total variation by half-quadratic splitting: Wang et al., "A new alternating minimization algorithm
for total variation image reconstruction", 2008. Flat places keep the slopes of the photo: Shan et
al., "High-quality motion deblurring from a single image", 2008, section 4 (local prior). Clipped
pixels tell only the least light, so they may become brighter: Cho et al., "Handling outliers in
non-blind image deconvolution", 2011.
"""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging import spectra
from tasks.imaging.light import Plane, luma
from tasks.imaging.masks import BoolMask
from tasks.imaging.tiles import by_tiles

OVERLAP = 64
"""Pixels of its neighbours around a tile: no kernel is longer."""
THREADS = 2
CLIPPED = 0.97
"""Value from which a pixel may be clipped."""
SLOPE = 0.02
"""Typical slope of an edge per pixel; the penalty of slopes is the noise's variance over it."""
THRESHOLDS = (0.06, 0.02, 0.008, 0.003, 0.001)
"""Slopes that are removed in each round."""
FLAT_SHARE = 1.2
"""Deviation of flat places over the kernel's extent, as a multiple of the noise's."""


def remove_blur(image: Image, kernel: Plane, sigma: float) -> Image:
    """Remove the blur by `kernel`, odd sides, sum 1, from an image with noise of `sigma`, in [0, 1]."""

    def sharpen(tile: Image) -> Image:
        return _sharpened(tile, kernel, sigma)

    return np.clip(by_tiles(image, sharpen, OVERLAP), 0, 1)


def extent_of(kernel: Plane) -> int:
    """Return the longer side in pixels of the box around a kernel."""
    rows, columns = np.nonzero(kernel > 0)
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


def flatness(plane: Plane, kernel: Plane, sigma: float) -> Plane:
    """Return where a plane has no detail that the kernel could have spread: 1, else 0, faded."""
    smooth = cv2.GaussianBlur(plane, (0, 0), 1)
    window = (extent_of(kernel) | 1,) * 2
    variance = cv2.blur(smooth * smooth, window) - cv2.blur(smooth, window) ** 2
    flat = (variance < np.square(FLAT_SHARE * sigma)).astype(np.float32)
    return np.asarray(cv2.blur(flat, (9, 9)), np.float32)


def _sharpened(tile: Image, kernel: Plane, sigma: float) -> Image:
    tile = spectra.wrapped(tile, OVERLAP)
    flat = flatness(luma(tile), kernel, sigma)
    spectrum = spectra.of_kernel(kernel, tile.shape[:2])
    powers = spectra.power(spectrum), spectra.slope_power(tile.shape[:2])
    clipped = cv2.dilate((tile.max(2) >= CLIPPED).astype(np.uint8), np.ones((3, 3))) > 0
    weight = sigma**2 / SLOPE

    def solved(channel: Plane) -> Plane:
        return _solved(channel, spectrum, powers, flat, clipped, weight)

    with ThreadPoolExecutor(THREADS) as pool:
        return np.dstack(list(pool.map(solved, cv2.split(tile))))


def _solved(
    blurred: Plane,
    spectrum: Plane,
    powers: tuple[Plane, Plane],
    flat: Plane,
    clipped: BoolMask,
    weight: float,
) -> Plane:
    calm = spectra.slopes(np.asarray(cv2.GaussianBlur(blurred, (0, 0), 1), np.float32))
    observed = sharp = blurred
    kept, steps = powers
    for threshold in THRESHOLDS:
        coupling = np.float32(weight / threshold)
        x, y = spectra.slopes(sharp)
        share = np.maximum(1 - threshold / (np.sqrt(x * x + y * y) + 1e-9), 0).astype(np.float32)
        x, y = (share * s + flat * (c - share * s) for s, c in zip((x, y), calm, strict=True))
        pulled = spectra.forward(spectra.divergence(x, y))
        wanted = spectra.product(spectra.forward(observed), spectrum, mirrored=True)
        solved = (wanted + coupling * pulled) / (kept + coupling * steps)
        sharp = spectra.inverse(np.asarray(solved, np.float32))
        if clipped.any():
            again = spectra.inverse(spectra.product(spectra.forward(sharp), spectrum))
            observed = np.where(clipped, np.maximum(blurred, again), blurred)
    return sharp
