"""Remove one degradation from an image by its trained net."""

from storage.enums import Degradation
from storage.photos import Image
from tasks.imaging.deconvolution import remove_gaussian
from tasks.imaging.evidence import edge_sigma, views_of
from tasks.imaging.light import luma
from tasks.lite.tiled_net import restored

LOW_SIGMA = 16.0
"""Scale in pixels above which a photo keeps its own colours."""
MAX_QUALITY = 90
"""Largest quality of a JPEG file that is told to the net against compression."""
MIN_PRESHARPENED_SIGMA, SIGMA_SHARE, ROUNDS = 1.5, 0.6, 8
"""Smallest blur of the sharpest edges (sigma in pixels) before which an image is deconvolved, the
share of that sigma, and the number of iterations."""


def removed(image: Image, kind: Degradation, jpeg_quality: int | None = None) -> Image:
    """Return an image without noise, compression or softness.

    `jpeg_quality` is that of its file, None where it is unknown.
    """
    if kind is Degradation.SOFTNESS:
        image = _presharpened(image)
    return restored(image, kind.value, _conditions(kind, jpeg_quality))


def _conditions(kind: Degradation, jpeg_quality: int | None) -> tuple[float, ...]:
    """Return the conditions of a net: for compression 1 - quality / 100, or 0 if it is unknown.

    A file of high quality whose photo has blocks was saved before, with an unknown quality.
    """
    if kind is not Degradation.COMPRESSION:
        return ()
    if jpeg_quality is None or jpeg_quality > MAX_QUALITY:
        return (0.0,)
    return (1 - jpeg_quality / 100,)


def _presharpened(image: Image) -> Image:
    """Deconvolve an image that is softer than the training examples, by a part of its blur."""
    sigma = edge_sigma(views_of(luma(image)))
    if sigma < MIN_PRESHARPENED_SIGMA:
        return image
    return remove_gaussian(image, SIGMA_SHARE * sigma, ROUNDS)
