"""The net of every lite restorer: a small U-Net that predicts the residual of an image.

The first layer halves the image by pixel-unshuffle, because on a CPU layers at full resolution are
limited by memory traffic. Convolutions have no bias and no normalisation, so the net scales with
its input and depends on no statistics of a tile. After DRUNet: Zhang et al., "Plug-and-Play Image
Restoration with Deep Denoiser Prior", 2021, section 4.1, which shows that bias-free residual U-Nets
generalise beyond the noise they were trained on. As the noise level there, a known quality loss is
a fourth input plane.
"""

from typing import cast

import torch
from torch import Tensor, nn

WIDTHS = (24, 48, 80)
"""Channels at 1/2, 1/4 and 1/8 of the image's size."""
BLOCKS = (1, 2, 2)
"""Residual blocks on each of these levels, in the encoder and again in the decoder."""


class Block(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, planes: Tensor) -> Tensor:
        return planes + cast(Tensor, self.second(torch.relu(self.first(planes))))


class ResidualNet(nn.Module):
    """Takes and returns images (B, 3, H, W), RGB in [0, 1], H and W multiples of 8.

    A net of four channels also takes a plane with the quality loss, from 0 to 1; 0 is unknown.
    An untrained net returns its input: the last layer is initialised with zeros.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.enter = nn.Conv2d(4 * channels, half, 3, padding=1, bias=False)
        self.down_half = _blocks(half, BLOCKS[0])
        self.to_quarter = nn.Conv2d(half, quarter, 2, stride=2, bias=False)
        self.down_quarter = _blocks(quarter, BLOCKS[1])
        self.to_eighth = nn.Conv2d(quarter, eighth, 2, stride=2, bias=False)
        self.middle = _blocks(eighth, 2 * BLOCKS[2])
        self.from_eighth = nn.ConvTranspose2d(eighth, quarter, 2, stride=2, bias=False)
        self.up_quarter = _blocks(quarter, BLOCKS[1])
        self.from_quarter = nn.ConvTranspose2d(quarter, half, 2, stride=2, bias=False)
        self.up_half = _blocks(half, BLOCKS[0])
        self.leave = nn.Conv2d(half, 12, 3, padding=1, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, planes: Tensor) -> Tensor:
        half = self.down_half(self._entered(planes))  # (B, 24, H/2, W/2)
        quarter = self.down_quarter(self.to_quarter(half))  # (B, 48, H/4, W/4)
        eighth = self.middle(self.to_eighth(quarter))  # (B, 80, H/8, W/8)
        quarter = self.up_quarter(self._joined(quarter, self.from_eighth(eighth)))
        half = self.up_half(self._joined(half, self.from_quarter(quarter)))
        residual = nn.functional.pixel_shuffle(self.leave(half), 2)  # (B, 3, H, W)
        return planes[:, :3] + residual

    def _entered(self, planes: Tensor) -> Tensor:
        return cast(Tensor, self.enter(nn.functional.pixel_unshuffle(planes, 2)))

    def _joined(self, skipped: Tensor, enlarged: Tensor) -> Tensor:
        return skipped + enlarged


class ExportedNet(ResidualNet):
    """The same net with the same weights, in the form that onnxruntime computes fastest.

    Pixel-unshuffle and the first layer are one convolution of stride 2. onnxruntime adds without
    further passes over memory what a convolution returns, so an enlarged level passes through one
    that changes nothing.
    """

    def _entered(self, planes: Tensor) -> Tensor:
        weight = self.enter.weight  # (24, 12 or 16, 3, 3)
        out, channels = weight.shape[0], weight.shape[1] // 4
        phases = weight.reshape(out, channels, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3)
        wide = phases.reshape(out, channels, 6, 6)
        return nn.functional.conv2d(planes, wide, stride=2, padding=2)

    def _joined(self, skipped: Tensor, enlarged: Tensor) -> Tensor:
        width = enlarged.shape[1]
        same = torch.eye(width).reshape(width, width, 1, 1)
        return skipped + nn.functional.conv2d(enlarged, same)


def _blocks(width: int, number: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(number)))
