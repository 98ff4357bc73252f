"""NAFNet, a U-Net without activations, and its variant with local means.

Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, sections 3 and 4; local means:
Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022,
section 3.3. Names are those of the official checkpoints.
"""

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn

FITTED_ON = 256
"""Side in pixels of the crops that the official nets were fitted on."""
WINDOW = (3, 2)
"""Side of the local mean's window over that of the feature map of such a crop, as a fraction."""


class LayerNorm(nn.Module):
    """Normalises the channels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, planes: Tensor) -> Tensor:
        variance, mean = torch.var_mean(planes, 1, correction=0, keepdim=True)
        normal = (planes - mean) / (variance + 1e-6).sqrt()
        return self.weight[:, None, None] * normal + self.bias[:, None, None]


class LocalMean(nn.Module):
    """The mean of the window around each pixel, or of the whole map if that is smaller.

    Means of a whole photo have other statistics than means of the crops that the net was fitted on.
    """

    def __init__(self, window: int | None) -> None:
        """Take the window's side in pixels of the feature map; None means the whole map."""
        super().__init__()
        self.window = window

    def forward(self, planes: Tensor) -> Tensor:
        height, width = planes.shape[-2:]
        if self.window is None or self.window >= max(height, width):
            return planes.mean((-2, -1), keepdim=True)
        means = _means(_means(planes, self.window, -1), self.window, -2)
        below, right = height - means.shape[-2], width - means.shape[-1]
        frame = (right // 2, right - right // 2, below // 2, below - below // 2)
        return nn.functional.pad(means, frame, mode="replicate")


def _means(planes: Tensor, window: int, axis: int) -> Tensor:
    """Return the means of all windows along an axis, by differences of cumulative sums."""
    window = min(window, planes.shape[axis])
    sums = planes.cumsum(axis)
    ends = sums.narrow(axis, window - 1, planes.shape[axis] - window + 1)
    before = torch.cat(
        (torch.zeros_like(sums.narrow(axis, 0, 1)), sums.narrow(axis, 0, ends.shape[axis] - 1)),
        axis,
    )
    return (ends - before) / window


class Block(nn.Module):
    """The paper's block, in which the product of two halves of the channels replaces the activation."""

    def __init__(self, width: int, window: int | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, 2 * width, 1)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.conv3 = nn.Conv2d(width, width, 1)
        self.sca = nn.Sequential(LocalMean(window), nn.Conv2d(width, width, 1))
        self.conv4 = nn.Conv2d(width, 2 * width, 1)
        self.conv5 = nn.Conv2d(width, width, 1)
        self.norm1 = LayerNorm(width)
        self.norm2 = LayerNorm(width)
        self.beta = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, planes: Tensor) -> Tensor:
        spatial = _gated(self.conv2(self.conv1(self.norm1(planes))))
        planes = planes + self.beta * self.conv3(spatial * self.sca(spatial))
        channels = cast(Tensor, self.conv5(_gated(self.conv4(self.norm2(planes)))))
        return planes + self.gamma * channels


def _gated(planes: Tensor) -> Tensor:
    one, other = planes.chunk(2, 1)
    return one * other


class NAFNet(nn.Module):
    """Takes images (B, 3, H, W), RGB in [0, 1], any H and W; returns the same shape, not clamped."""

    def __init__(
        self,
        width: int,
        encoders: Sequence[int],
        middle: int,
        decoders: Sequence[int],
        fitted_on: int | None = None,
    ) -> None:
        """Take the channels at full size and the number of blocks on each level.

        `fitted_on` is the side in pixels of the crops that the net was fitted on: means are over
        windows of 1.5 times that. With None, means are over the whole image, as in training.
        """
        super().__init__()
        levels = range(len(encoders))
        windows = [_window(fitted_on, level) for level in (*levels, len(encoders))]
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.encoders = nn.ModuleList(
            blocks(width << level, encoders[level], windows[level]) for level in levels
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(width << level, width << level + 1, 2, stride=2) for level in levels
        )
        self.middle_blks = blocks(width << len(encoders), middle, windows[-1])
        self.ups = nn.ModuleList(_up(width << level + 1) for level in reversed(levels))
        self.decoders = nn.ModuleList(
            blocks(width << level, number, windows[level])
            for level, number in zip(reversed(levels), decoders, strict=True)
        )

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], fitted_on: int | None = FITTED_ON) -> Self:
        """Build the net of these weights, in evaluation mode.

        Raises:
            RuntimeError: the weights are of another net.

        """
        if "intro.weight" not in weights:
            raise RuntimeError("NAFNet's weights have 'intro.weight', these do not")
        levels = _count(weights, "encoders")
        net = cls(
            weights["intro.weight"].shape[0],
            [_count(weights, f"encoders.{level}") for level in range(levels)],
            _count(weights, "middle_blks"),
            [_count(weights, f"decoders.{level}") for level in range(levels)],
            fitted_on,
        )
        net.load_state_dict(weights, strict=True)
        return net.eval()

    def forward(self, image: Tensor) -> Tensor:
        padded = self.padded(image)
        output = cast(Tensor, self.ending(self.through(self.intro(padded)))) + padded
        return output[..., : image.shape[-2], : image.shape[-1]]

    def padded(self, image: Tensor) -> Tensor:
        """Pad with zeros right and below, to multiples of the deepest level's pixel."""
        deepest = 1 << len(self.encoders)
        below, right = (-side % deepest for side in image.shape[-2:])
        return nn.functional.pad(image, (0, right, 0, below))

    def through(self, planes: Tensor) -> Tensor:
        """Run features (B, C, H, W) through encoders and decoders; return the same shape."""
        kept = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            planes = encoder(planes)
            kept.append(planes)
            planes = down(planes)  # (B, 2C, H/2, W/2)
        planes = self.middle_blks(planes)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            planes = decoder(up(planes) + kept.pop())  # (B, C/2, 2H, 2W)
        return planes


def blocks(width: int, number: int, window: int | None = None) -> nn.Sequential:
    """Return a sequence of blocks."""
    return nn.Sequential(*(Block(width, window) for _ in range(number)))


def _up(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2))


def _window(fitted_on: int | None, level: int) -> int | None:
    times, by = WINDOW
    return None if fitted_on is None else (fitted_on >> level) * times // by


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of modules of a sequence: names of `prefix`, a dot and a digit."""
    depth = prefix.count(".") + 1
    inside = (name.split(".") for name in weights if name.startswith(f"{prefix}."))
    return len({parts[depth] for parts in inside if parts[depth].isdigit()})
