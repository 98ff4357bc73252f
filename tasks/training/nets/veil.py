"""The net against reflections: it estimates the added light from figures of 56 by 56 blocks."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.imaging.veil_figures import FIGURES

WIDTHS = (40, 64, 96, 128)
"""Channels at 1, 1/2, 1/4 and 1/8 of the grid of blocks."""
DROPOUT, HIDDEN = 0.2, 32
INITIAL_LOGIT = -1.0
"""Added to the logits of the shares, so that an untrained net predicts small ones."""


class ReflectionNet(nn.Module):
    """Takes figures (B, 33, 56, 56) and returns shares (B, 3, 56, 56) and logits (B, 1).

    The shares are of the darkest red, green and blue of each block, in linear light: a pane cannot
    have added more. The sigmoid of the logit is the severity of the reflection.
    """

    def __init__(self) -> None:
        super().__init__()
        finest, fine, middle, coarse = WIDTHS
        self.enter = nn.Sequential(nn.BatchNorm2d(FIGURES), *_layer(FIGURES, finest, size=1))
        self.to_fine = nn.Sequential(*_layer(finest, fine, 2))
        self.down_fine = Block(fine)
        self.to_middle = nn.Sequential(*_layer(fine, middle, 2))
        self.down_middle = Block(middle)
        self.to_coarse = nn.Sequential(*_layer(middle, coarse, 2))
        self.coarse = Block(coarse)
        self.everywhere = nn.Linear(coarse, coarse)
        self.from_coarse = nn.Conv2d(coarse, middle, 1)
        self.up_middle = Block(middle)
        self.from_middle = nn.Conv2d(middle, fine, 1)
        self.up_fine = Block(fine)
        self.from_fine = nn.Conv2d(fine, finest, 1)
        self.leave = nn.Conv2d(finest, 3, 1)
        self.say = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(2 * coarse + 2 * fine, HIDDEN), nn.ReLU(),
            nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1),
        )  # fmt: skip

    def forward(self, figures: Tensor) -> tuple[Tensor, Tensor]:
        finest = self.enter(figures)  # (B, 40, 56, 56)
        fine = self.down_fine(self.to_fine(finest))  # (B, 64, 28, 28)
        middle = self.down_middle(self.to_middle(fine))  # (B, 96, 14, 14)
        coarse = self.coarse(self.to_coarse(middle))  # (B, 128, 7, 7)
        coarse = torch.relu(coarse + self.everywhere(coarse.mean((2, 3)))[:, :, None, None])
        middle = self.up_middle(torch.relu(middle + _enlarged(self.from_coarse(coarse))))
        fine = self.up_fine(torch.relu(fine + _enlarged(self.from_middle(middle))))
        finest = torch.relu(finest + _enlarged(self.from_fine(fine)))
        shares = torch.sigmoid(self.leave(finest) + INITIAL_LOGIT)
        levels = (coarse, fine)
        pooled = [pool for each in levels for pool in (each.mean((2, 3)), each.amax((2, 3)))]
        return shares, self.say(torch.cat(pooled, 1))


class Block(nn.Module):
    """Two convolutions with a skip connection and dropout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_layer(width, width))
        self.second = nn.Sequential(nn.Dropout2d(0.1), *_layer(width, width)[:2])

    def forward(self, planes: Tensor) -> Tensor:
        return torch.relu(planes + cast(Tensor, self.second(self.first(planes))))


def _layer(entering: int, width: int, stride: int = 1, size: int = 3) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(entering, width, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(width), nn.ReLU()


def _enlarged(planes: Tensor) -> Tensor:
    return functional.interpolate(planes, scale_factor=2.0)
