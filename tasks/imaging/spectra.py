"""Fourier transforms of real planes, in the packed layout of OpenCV's dft."""

import cv2
import numpy as np

from tasks.imaging.light import Plane


def forward(plane: Plane) -> Plane:
    """Return the packed spectrum of a plane."""
    return np.asarray(cv2.dft(plane), np.float32)


def inverse(spectrum: Plane) -> Plane:
    """Return the plane of a packed spectrum."""
    flags = cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT
    return np.asarray(cv2.dft(spectrum, flags=flags), np.float32)


def of_kernel(kernel: Plane, shape: tuple[int, int]) -> Plane:
    """Return the packed spectrum of a kernel, odd sides, for planes of `shape`."""
    padded = np.zeros(shape, np.float32)
    rows, columns = kernel.shape
    padded[:rows, :columns] = kernel
    return forward(np.roll(padded, (-(rows // 2), -(columns // 2)), (0, 1)))


def product(one: Plane, other: Plane, *, mirrored: bool = False) -> Plane:
    """Return the spectrum of a convolution; with the mirrored `other`, if that is asked for."""
    return np.asarray(cv2.mulSpectrums(one, other, 0, conjB=mirrored), np.float32)


def power(spectrum: Plane) -> Plane:
    """Return the squared magnitude of a packed spectrum, at both of the places of each frequency.

    A packed spectrum can then be multiplied and divided by it, element by element.
    """
    squares = product(spectrum, spectrum, mirrored=True)
    squares[:, 2::2] = squares[:, 1 : squares.shape[1] - 1 : 2]
    for column in (0, -1)[: 2 - squares.shape[1] % 2]:
        squares[2::2, column] = squares[1 : squares.shape[0] - 1 : 2, column]
    return squares


def slopes(plane: Plane) -> tuple[Plane, Plane]:
    """Return the differences to the next pixel to the right and below; the plane wraps around."""
    right, below = np.empty_like(plane), np.empty_like(plane)
    np.subtract(plane[:, 1:], plane[:, :-1], out=right[:, :-1])
    np.subtract(plane[:, 0], plane[:, -1], out=right[:, -1])
    np.subtract(plane[1:], plane[:-1], out=below[:-1])
    np.subtract(plane[0], plane[-1], out=below[-1])
    return right, below


def divergence(x: Plane, y: Plane) -> Plane:
    """Return the transpose of `slopes`, applied to both differences."""
    total = -x
    total[:, 1:] += x[:, :-1]
    total[:, 0] += x[:, -1]
    total -= y
    total[1:] += y[:-1]
    total[0] += y[-1]
    return total


def slope_power(shape: tuple[int, int]) -> Plane:
    """Return the sum of the squared magnitudes of the two operators of `slopes`."""
    point = np.zeros(shape, np.float32)
    point[0, 0] = 1
    return sum((power(forward(each)) for each in slopes(point)), np.zeros(shape, np.float32))


def wrapped(plane: Plane, margin: int) -> Plane:
    """Blend opposite borders of planes over `margin` pixels; the Fourier transform joins them."""
    for axis, side in enumerate(plane.shape[:2]):
        from_edge = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
        own = np.minimum(1, 0.5 + 0.5 * from_edge / margin)
        own = np.expand_dims(own, tuple(set(range(plane.ndim)) - {axis}))
        plane = own * plane + (1 - own) * np.flip(plane, axis)
    return np.asarray(plane, np.float32)
