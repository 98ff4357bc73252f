"""Remove a blur of known kernel from an image whose detail is sparse, and whose lights may be clipped.

Total variation by half-quadratic splitting: Wang et al., "A new alternating minimization algorithm
for total variation image reconstruction", 2008. Flat places keep the slopes of the photo: Shan et
al., "High-quality motion deblurring from a single image", 2008, section 4 (local prior). Clipped
pixels tell only the least light, so they may become brighter: Cho et al., "Handling outliers in
non-blind image deconvolution", 2011.
"""

import cv2
import numpy as np

from storage.photos import Image
from tasks.imaging import spectra
from tasks.imaging.light import Plane, luma
from tasks.imaging.masks import BoolMask
from tasks.imaging.tiles import by_tiles

OVERLAP = 64
"""Pixels of its neighbours around a tile: no kernel is longer."""
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
        return np.clip(_sharpened(tile, kernel, sigma), 0, 1)

    return by_tiles(image, sharpen, OVERLAP)


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

    return np.dstack([solved(np.asarray(channel, np.float32)) for channel in cv2.split(tile)])


def _solved(
    blurred: Plane,
    spectrum: Plane,
    powers: tuple[Plane, Plane],
    flat: Plane,
    clipped: BoolMask,
    weight: float,
) -> Plane:
    calm = spectra.slopes(np.asarray(cv2.GaussianBlur(blurred, (0, 0), 1), np.float32))
    kept, steps = powers
    has_lights = bool(clipped.any())
    sharp, wanted = blurred, _back(blurred, spectrum)
    for threshold in THRESHOLDS:
        coupling = np.float32(weight / threshold)
        x, y = _sparse(spectra.slopes(sharp), np.float32(threshold), flat, calm)
        pulled = spectra.forward(spectra.divergence(x, y))
        solved = (wanted + coupling * pulled) / (kept + coupling * steps)
        sharp = spectra.inverse(np.asarray(solved, np.float32))
        if has_lights:
            again = spectra.inverse(spectra.product(spectra.forward(sharp), spectrum))
            wanted = _back(np.where(clipped, np.maximum(blurred, again), blurred), spectrum)
    return sharp


def _back(plane: Plane, spectrum: Plane) -> Plane:
    """Return the packed spectrum of a plane that is blurred by the mirrored kernel."""
    return spectra.product(spectra.forward(plane), spectrum, mirrored=True)


def _sparse(
    slopes: tuple[Plane, Plane], threshold: np.float32, flat: Plane, calm: tuple[Plane, Plane]
) -> list[Plane]:
    """Return slopes shortened by `threshold`, and in flat places those of the calm photo."""
    share: Plane = np.asarray(cv2.magnitude(*slopes), np.float32)
    share += np.float32(1e-9)
    np.divide(-threshold, share, out=share)
    share += np.float32(1)
    np.maximum(share, 0, out=share)
    share *= 1 - flat
    return [share * slope + flat * still for slope, still in zip(slopes, calm, strict=True)]
