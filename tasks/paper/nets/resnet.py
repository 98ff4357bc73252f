"""ResNet-50 with fixed batch normalisation, the backbone of YOSO.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Names are those of the official
checkpoints of YOSO.
"""

from typing import cast

import torch
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
"""Blocks on each level."""


class FrozenNorm(nn.Module):
    """Batch normalisation with fixed statistics."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.register_buffer(name, torch.full((width,), float(value)))

    def forward(self, planes: Tensor) -> Tensor:
        weight, bias, mean, variance = (tensor.view(1, -1, 1, 1) for tensor in self.buffers())
        scale = weight * (variance + 1e-5).rsqrt()
        return planes * scale + (bias - mean * scale)


class NormedConv(nn.Conv2d):
    """A convolution without bias and its normalisation."""

    def __init__(self, in_width: int, out_width: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_width, out_width, kernel, stride, padding=kernel // 2, bias=False)
        self.norm: nn.Module = FrozenNorm(out_width)

    def forward(self, planes: Tensor) -> Tensor:
        return cast(Tensor, self.norm(super().forward(planes)))


class Stem(nn.Module):
    """The first layers, which reduce the size to a quarter."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = NormedConv(3, width, 7, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        halved = torch.relu(self.conv1(image))  # (B, C, H/2, W/2)
        return nn.functional.max_pool2d(halved, 3, stride=2, padding=1)  # (B, C, H/4, W/4)


class Bottleneck(nn.Module):
    """ResNet's block, with the stride in the 3x3 layer."""

    def __init__(self, in_width: int, inside: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.shortcut = (
            NormedConv(in_width, out_width, 1, stride) if in_width != out_width else nn.Identity()
        )
        self.conv1 = NormedConv(in_width, inside, 1)
        self.conv2 = NormedConv(inside, inside, 3, stride)
        self.conv3 = NormedConv(inside, out_width, 1)

    def forward(self, planes: Tensor) -> Tensor:
        output = self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(planes)))))
        return torch.relu(output + self.shortcut(planes))


class ResNet(nn.Module):
    """Takes images (B, 3, H, W), returns features of 1/4, 1/8, 1/16 and 1/32 of their size."""

    def __init__(self, stem: int, bottleneck: int, level: int) -> None:
        """Build it with these channels of the stem, and inside and after the first level."""
        super().__init__()
        self.stem = Stem(stem)
        self.res2 = _level(stem, bottleneck, level, 0)
        self.res3 = _level(level, bottleneck, level, 1)
        self.res4 = _level(2 * level, bottleneck, level, 2)
        self.res5 = _level(4 * level, bottleneck, level, 3)

    def forward(self, image: Tensor) -> list[Tensor]:
        levels, planes = [], self.stem(image)
        for level in (self.res2, self.res3, self.res4, self.res5):
            planes = level(planes)
            levels.append(planes)
        return levels


def _level(in_width: int, bottleneck: int, level: int, depth: int) -> nn.Sequential:
    inside, out_width = bottleneck << depth, level << depth
    first = Bottleneck(in_width, inside, out_width, 1 if depth == 0 else 2)
    rest = (Bottleneck(out_width, inside, out_width, 1) for _ in range(BLOCKS[depth] - 1))
    return nn.Sequential(first, *rest)
