"""The net of the lite classifier: weighted votes for each degradation from each place of a crop.

A flat sky contains no information about a movement, so each place has a weight, and the votes of
all crops of a photo are added before the division: attention-based pooling, Ilse et al.,
"Attention-based deep multiple instance learning", 2018.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from storage.enums import Degradation
from tasks.imaging.jpeg_dct import BLOCK, COSINES

WIDTHS = (24, 48, 64, 96)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the crop's size."""
EPSILON = 1 / 255
"""Added to the strength of a frequency before its logarithm is taken: one step of the file."""
SHARPNESS = 16.0
"""Factor of fine detail before tanh, so that noise of one or two steps is visible beside the
scene."""
MIN_WEIGHT = 1e-3
"""Smallest weight of a place, so that every photo has a verdict."""


class EvidenceNet(nn.Module):
    """Takes crops (B, 3, H, W) and returns votes and weights, (B, 5) each.

    Crops are RGB in [0, 1], H and W multiples of 16; the columns are in the order of `Degradation`.
    A photo's severity is the sigmoid of the sum of its crops' votes over the sum of their weights.
    The scene is much stronger than a degradation, so the net gets only fine detail, and the
    strength of each frequency in each block.
    """

    cosines: Tensor

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        self.register_buffer("cosines", _cosines())
        self.detail = nn.Sequential(
            nn.PixelUnshuffle(2),  # (B, 12, H/2, W/2)
            *_layer(12, half), *_layer(half, half),
            *_layer(half, quarter, 2), *_layer(quarter, quarter), *_layer(quarter, eighth, 2),
        )  # fmt: skip
        self.frequencies = nn.Sequential(
            nn.BatchNorm2d(BLOCK**2), *_layer(BLOCK**2, eighth, size=1)
        )
        self.together = nn.Sequential(
            *_layer(2 * eighth, eighth), *_layer(eighth, eighth),
            *_layer(eighth, sixteenth, 2), *_layer(sixteenth, sixteenth),
            nn.Conv2d(sixteenth, 2 * len(Degradation), 1),  # (B, 10, H/16, W/16)
        )  # fmt: skip

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(
            crops.device.type, enabled=False
        ):  # bfloat16 would lose a step of the file
            framed = functional.pad(crops, (1, 1, 1, 1), mode="replicate")
            fine = torch.tanh(SHARPNESS * (crops - functional.avg_pool2d(framed, 3, 1)))
            grey = crops.mean(1, keepdim=True)
            blocks = functional.conv2d(grey, self.cosines, stride=BLOCK)  # (B, 64, H/8, W/8)
            strengths = torch.log(blocks.abs() + EPSILON)
        parts = [self.detail(fine), self.frequencies(strengths)]
        features = torch.cat(parts, 1)  # (B, 128, H/8, W/8)
        votes, importance = self.together(features).chunk(2, 1)
        weights = functional.softplus(importance.float()) + MIN_WEIGHT
        return (weights * votes.float()).mean((2, 3)), weights.mean((2, 3))


def severities(votes: Tensor, weights: Tensor) -> Tensor:
    """Return the logits of the severities of photos of one crop each, (B, 5)."""
    return votes / weights


def _layer(entering: int, width: int, stride: int = 1, size: int = 3) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(entering, width, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(width), nn.ReLU()


def _cosines() -> Tensor:
    """Return the orthonormal cosine transform of a block as filters, (64, 1, 8, 8)."""
    rows = torch.from_numpy(COSINES)
    return (rows[:, None, :, None] * rows[None, :, None, :]).reshape(BLOCK**2, 1, BLOCK, BLOCK)
