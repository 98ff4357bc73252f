"""Estimate the blur kernel of a movement from a blurred crop alone, from coarse to fine.

The crop is predicted as sharp: a few strong steps, whose number is penalised (Xu, Zheng and Jia,
"Unnatural L0 sparse representation for natural image deblurring", 2013, section 3). The kernel
follows from the strongest steps by regularised least squares in the Fourier domain (Cho and Lee,
"Fast motion deblurring", 2009, section 4). Both are repeated at each scale.
"""

import cv2
import numpy as np

from tasks.imaging import spectra
from tasks.imaging.light import Plane

STEP_WEIGHT, WEIGHT_DECAY, LEAST_WEIGHT = 4e-3, 1.1, 1e-4
"""Penalty of a step of the sharp crop at first, its divisor in each round, and its limit."""
ROUNDS = 5
"""Rounds at each scale: predict the sharp crop, then the kernel."""
COUPLING_GROWTH, LAST_COUPLING = 3.0, 2e3
"""Growth of the coupling between a crop and its steps, and its limit: a step of 0.002 is kept."""
SCALE = 2**0.5
"""Factor between the sides of the kernel at two scales."""
RIDGE = 2.0
"""Weight of the kernel's own size in the least squares."""
FAINT, SEPARATE = 0.05, 0.1
"""Shares of the kernel's peak and of its sum: fainter pixels and smaller islands are noise."""


def kernel_of(crop: Plane, side: int) -> Plane:
    """Estimate the kernel, `side` by `side` pixels (odd), sum 1, of a crop in [0, 1]."""
    kernel, weight = _first_kernel(crop), STEP_WEIGHT
    for small in _sides(side):
        scale = small / side
        view = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        blurred = spectra.wrapped(np.asarray(view, np.float32), min(small, min(view.shape) // 4))
        grown = cv2.resize(kernel, (small, small), interpolation=cv2.INTER_CUBIC)
        kernel = pruned(np.asarray(grown, np.float32))
        for _ in range(ROUNDS):
            sharp = _predicted(blurred, kernel, weight)
            kernel = _centred(pruned(_fitted(sharp, blurred, small)))
            weight = max(weight / WEIGHT_DECAY, LEAST_WEIGHT)
    return kernel


def _sides(side: int) -> list[int]:
    sides = [side]
    while (smaller := int(sides[-1] / SCALE) // 2 * 2 + 1) > 3:
        sides.append(smaller)
    return [3, *sides[::-1]]


def _first_kernel(crop: Plane) -> Plane:
    """Return two pixels in the direction of the weaker slopes: a movement weakens those along it."""
    across, down = (float(np.abs(slope).sum()) for slope in spectra.slopes(crop))
    kernel = np.zeros((3, 3), np.float32)
    kernel[1, 1:] = 0.5
    return kernel if across < down else kernel.T.copy()


def _predicted(blurred: Plane, kernel: Plane, weight: float) -> Plane:
    """Return the crop with few steps that the kernel blurs to `blurred`."""
    spectrum = spectra.of_kernel(kernel, blurred.shape)
    observed = spectra.product(spectra.forward(blurred), spectrum, mirrored=True)
    kept, steps = spectra.power(spectrum), spectra.slope_power(blurred.shape)
    sharp, coupling = blurred, 2 * weight
    while coupling < LAST_COUPLING:
        x, y = spectra.slopes(sharp)
        strong = x * x + y * y >= weight / coupling
        pulled = spectra.forward(spectra.divergence(x * strong, y * strong))
        coupled = np.float32(coupling)
        solved = (observed + coupled * pulled) / (kept + coupled * steps)
        sharp = spectra.inverse(np.asarray(solved, np.float32))
        coupling *= COUPLING_GROWTH
    return sharp


def _fitted(sharp: Plane, blurred: Plane, side: int) -> Plane:
    """Return the kernel that best maps the strongest steps of `sharp` to those of `blurred`."""
    total = power = np.zeros_like(blurred)
    for strong, slope in zip(_strongest(sharp, side), spectra.slopes(blurred), strict=True):
        spectrum = spectra.forward(strong)
        total = total + spectra.product(spectra.forward(slope), spectrum, mirrored=True)
        power = power + spectra.power(spectrum)
    kernel = spectra.inverse(total / (power + np.float32(RIDGE)))
    return np.roll(kernel, (side // 2, side // 2), (0, 1))[:side, :side]


def _strongest(sharp: Plane, side: int) -> tuple[Plane, Plane]:
    x, y = spectra.slopes(sharp)
    steepness = x * x + y * y
    count = min(steepness.size - 1, int(2 * side * np.sqrt(steepness.size)))
    strong = steepness >= np.partition(steepness, -count, axis=None)[-count]
    return x * strong, y * strong


def pruned(kernel: Plane) -> Plane:
    """Remove negative and faint pixels and small islands of a kernel, and set its sum to 1."""
    kernel = np.where(kernel >= FAINT * kernel.max(), np.maximum(kernel, 0), 0)
    count, islands = cv2.connectedComponents((kernel > 0).astype(np.uint8), connectivity=8)
    sums = np.bincount(islands.ravel(), kernel.ravel(), count)
    kernel = np.where((sums < SEPARATE * sums.sum())[islands], 0, kernel)
    if not kernel.any():
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return np.asarray(kernel / kernel.sum(), np.float32)


def _centred(kernel: Plane) -> Plane:
    rows, columns = np.indices(kernel.shape)
    middle = kernel.shape[0] // 2
    down, right = (round(middle - float((axis * kernel).sum())) for axis in (rows, columns))
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(kernel, shift, kernel.shape[::-1]), np.float32)
