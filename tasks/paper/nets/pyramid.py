"""The feature pyramid of YOSO: adds the levels of its backbone, enlarged by deformable convolutions.

Names are those of the official checkpoints.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

PYRAMID_WIDTH = 128
"""Channels of the sum of the four levels."""


class DeformableUpsampling(nn.Module):
    """A deformable convolution, and upsampling by two."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.dcn_offset = nn.Conv2d(in_width, 27, 3, padding=1)
        self.dcn = nn.Conv2d(in_width, out_width, 3, padding=1, bias=False)
        self.dcn_bn = nn.BatchNorm2d(out_width)
        self.up_sample = nn.ConvTranspose2d(
            out_width, out_width, 4, stride=2, padding=1, bias=False
        )
        self.up_bn = nn.BatchNorm2d(out_width)

    def forward(self, planes: Tensor) -> Tensor:
        predicted = self.dcn_offset(planes)
        gathered = deformable_conv(
            planes, predicted[:, :18], predicted[:, 18:].sigmoid(), self.dcn.weight
        )
        gathered = torch.relu(self.dcn_bn(gathered))
        return torch.relu(self.up_bn(self.up_sample(gathered)))  # (B, C', 2H, 2W)


def deformable_conv(planes: Tensor, offsets: Tensor, weights: Tensor, weight: Tensor) -> Tensor:
    """Return a 3x3 convolution whose nine taps are moved by `offsets` and scaled by `weights`.

    Takes (B, C, H, W), offsets (B, 18, H, W) in pixels, down and right for each tap, and weights
    (B, 9, H, W). Zhu et al., "Deformable ConvNets v2", CVPR 2019, section 3.2. It equals
    torchvision's deform_conv2d, whose wheels cannot be loaded beside a torch without CUDA.
    """
    height, width = planes.shape[-2:]
    rows = torch.arange(height, device=planes.device, dtype=planes.dtype)[:, None]
    columns = torch.arange(width, device=planes.device, dtype=planes.dtype)
    total = torch.zeros_like(planes[:, :1])
    for tap in range(9):
        y = rows + tap // 3 - 1 + offsets[:, 2 * tap]  # (B, H, W)
        x = columns + tap % 3 - 1 + offsets[:, 2 * tap + 1]
        places = torch.stack((_relative(x, width), _relative(y, height)), -1)
        sampled = nn.functional.grid_sample(planes, places, align_corners=False)
        sampled = sampled * weights[:, tap : tap + 1]
        total = total + nn.functional.conv2d(sampled, weight[:, :, tap // 3, tap % 3, None, None])
    return total


def _relative(places: Tensor, length: int) -> Tensor:
    """Return pixel coordinates as grid_sample's, from -1 to 1 over the whole length."""
    return (2 * places + 1) / length - 1


class Pyramid(nn.Module):
    """Adds the levels, each convolved to one width before it is enlarged (section 3.2)."""

    def __init__(self, level: int) -> None:
        super().__init__()
        widths = 8 * level, 4 * level, 2 * level, level
        self.lateral_conv0, self.lateral_conv1, self.lateral_conv2, self.lateral_conv3 = (
            nn.Conv2d(width, width // 2, 1) for width in widths
        )
        self.deform_conv1, self.deform_conv2, self.deform_conv3 = (
            DeformableUpsampling(width // 2, width // 4) for width in widths[:3]
        )
        self.conv_a5, self.conv_a4, self.conv_a3, self.conv_a2 = (
            nn.Conv2d(width // 2, PYRAMID_WIDTH, 1, bias=False) for width in widths
        )
        self.bias = nn.Parameter(torch.zeros(1, PYRAMID_WIDTH, 1, 1))
        self.output_conv = nn.Conv2d(PYRAMID_WIDTH, PYRAMID_WIDTH, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        quarter, eighth, sixteenth, smallest = levels
        five = self.lateral_conv0(smallest)
        four = self.lateral_conv1(sixteenth) + self.deform_conv1(five)
        three = self.lateral_conv2(eighth) + self.deform_conv2(four)
        two = self.lateral_conv3(quarter) + self.deform_conv3(three)
        total = (
            enlarged(self.conv_a5(five), 8)
            + enlarged(self.conv_a4(four), 4)
            + enlarged(self.conv_a3(three), 2)
            + self.conv_a2(two)
            + self.bias
        )
        return cast(Tensor, self.output_conv(total))  # (B, 128, H/4, W/4)


def resized(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, N, H, W) bilinearly, aligned at the borders."""
    return nn.functional.interpolate(planes, list(size), mode="bilinear", align_corners=False)


def enlarged(planes: Tensor, scale: int) -> Tensor:
    """Enlarge (B, N, H, W) by a whole factor, bilinearly."""
    return resized(planes, [scale * side for side in planes.shape[-2:]])
