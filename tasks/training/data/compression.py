"""Simulate JPEG compression of a batch, without the lossless entropy coding."""

import torch
from torch import Tensor
from torch.nn import functional

from tasks.imaging.jpeg_dct import COSINES
from tasks.training.data.random_draws import one_in

# ITU-T T.81, tables K.1 and K.2: the steps of quality 50.
BRIGHTNESS_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(4 * ((99,) * 8,)),
)

_LINEAR_STEPS = tuple(
    tuple(float(8 + 5 * (down + across)) for across in range(8)) for down in range(8)
)
FAMILIES = ((BRIGHTNESS_STEPS, COLOUR_STEPS), (_LINEAR_STEPS, _LINEAR_STEPS))
"""Tables of the brightness and the colours: those of most programs, and such as cameras use, whose
steps grow evenly with the frequency and spare the colours."""

TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""From red, green and blue to brightness and colours, as in JFIF: ITU-T T.871, section 7."""


def jpeg(images: Tensor, quality: Tensor, rng: torch.Generator) -> Tensor:
    """Compress images as baseline JPEG (ITU T.81) of the qualities (B,), 1 to 100.

    Half of the images have subsampled colours. Sides must be multiples of 16.
    """
    return _compressed(images, quality, rng, *_tables(images, 0))


def jpeg_of_any_family(images: Tensor, quality: Tensor, rng: torch.Generator) -> Tensor:
    """Compress like `jpeg`, one image in three with the tables of a camera."""
    tables, others = _tables(images, 0), _tables(images, 1)
    is_other = one_in(3, images, rng)
    chosen = (torch.where(is_other, *pair) for pair in zip(others, tables, strict=True))
    return _compressed(images, quality, rng, *chosen)


def _tables(images: Tensor, family: int) -> list[Tensor]:
    return [torch.tensor(t, dtype=images.dtype, device=images.device) for t in FAMILIES[family]]


def _compressed(
    images: Tensor, quality: Tensor, rng: torch.Generator, luma_table: Tensor, chroma_table: Tensor
) -> Tensor:
    turn = torch.tensor(TO_YCBCR, device=images.device)
    planes = torch.einsum("dc,bchw->bdhw", turn, images * 255)
    luma = planes[:, :1] - 128
    quality = quality.clamp(1, 100)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None] / 100
    luma = _quantised(luma, (luma_table * scale).round().clamp(1, 255))
    fine = (chroma_table * scale).round().clamp(1, 255)
    full = _quantised(planes[:, 1:], fine)
    halved = _quantised(functional.avg_pool2d(planes[:, 1:], 2), fine)
    halved = functional.interpolate(halved, scale_factor=2.0, mode="bilinear", align_corners=False)
    colours = torch.where(one_in(2, images, rng), halved, full)
    back = torch.einsum(
        "cd,bdhw->bchw", torch.linalg.inv(turn), torch.cat([luma + 128, colours], 1)
    )
    return in_8_bits(back / 255)


def jpeg_elsewhere(images: Tensor, quality: Tensor, rng: torch.Generator) -> Tensor:
    """Compress like `jpeg`, with a grid of blocks that is shifted by 3 and 5 pixels."""
    shifted = images.roll((3, 5), (2, 3))
    return jpeg(shifted, quality, rng).roll((-3, -5), (2, 3))


def _quantised(planes: Tensor, table: Tensor) -> Tensor:
    """Quantise the cosine transform of each block of 8 by 8 pixels by a table (B, 1, 8, 8)."""
    batch, channels, height, width = planes.shape
    cosines = torch.from_numpy(COSINES).to(planes)
    blocks = planes.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = table[:, :, None, None]
    rounded = ((cosines @ blocks @ cosines.T) / steps).round() * steps
    return (cosines.T @ rounded @ cosines).transpose(3, 4).reshape(planes.shape)


def in_8_bits(images: Tensor) -> Tensor:
    """Round values to multiples of 1/255."""
    return (images.clamp(0, 1) * 255).round() / 255
