"""The public pair of nets against reflections: one locates them, a NAFNet removes them there.

Zhu et al., "Revisiting Single Image Reflection Removal In the Wild", CVPR 2024, section 4. The
location net is on EfficientNet-B3: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks", ICML 2019, table 1. Names are those of the published files RD.pth and RR.pth.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from tasks.paper.nets.nafnet import NAFNet, blocks

WIDTH, DEPTH = 1.2, 1.4
"""Factors of B0's channels and blocks in B3."""
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
"""Stages of B0: blocks, side of the kernel, stride of the first block, expansion, channels."""
STEM, HEAD = 32, 1280
"""Channels of B0 before and after the stages."""
SQUEEZE = 0.25
"""Channels of the squeezed weights over the input channels of a block."""
FITTED_ON = 300
"""Input side of B3 in pixels; paddings are those of this size for all inputs."""
REDUCED_WIDTH = 16
"""Channels to which each output of the backbone is reduced."""
EPSILON = 1e-5
"""Added to the standard deviation of the colours."""


class Stage(NamedTuple):
    """The sizes of one block of the backbone."""

    in_width: int
    out_width: int
    kernel: int
    stride: int
    expansion: int
    side: int
    """Side of the input feature map for an image of `FITTED_ON` pixels a side."""
    shortcut: bool


class PaddedConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow pads a map of `fitted_on` pixels a side."""

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int,
        stride: int,
        fitted_on: int,
        groups: int = 1,
    ) -> None:
        super().__init__(in_width, out_width, kernel, stride, groups=groups, bias=False)
        missing = max(0, (-(-fitted_on // stride) - 1) * stride + kernel - fitted_on)
        self.frame = 2 * (missing // 2, missing - missing // 2)

    def forward(self, planes: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(planes, self.frame))


class BackboneBlock(nn.Module):
    """An inverted residual block with squeeze and excitation."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        inside = stage.in_width * stage.expansion
        squeezed = max(1, int(stage.in_width * SQUEEZE))
        self.shortcut = stage.shortcut
        self.expands = stage.expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(stage.in_width, inside, 1, bias=False)
            self._bn0 = _norm(inside)
        self._depthwise_conv = PaddedConv(
            inside, inside, stage.kernel, stage.stride, stage.side, groups=inside
        )
        self._bn1 = _norm(inside)
        self._se_reduce = nn.Conv2d(inside, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, inside, 1)
        self._project_conv = nn.Conv2d(inside, stage.out_width, 1, bias=False)
        self._bn2 = _norm(stage.out_width)

    def forward(self, planes: Tensor) -> Tensor:
        inside = planes
        if self.expands:
            inside = nn.functional.silu(self._bn0(self._expand_conv(inside)))
        inside = nn.functional.silu(self._bn1(self._depthwise_conv(inside)))
        mean = inside.mean((-2, -1), keepdim=True)
        weights = torch.sigmoid(self._se_expand(nn.functional.silu(self._se_reduce(mean))))
        outputs = cast(Tensor, self._bn2(self._project_conv(weights * inside)))
        return planes + outputs if self.shortcut else outputs


class Backbone(nn.Module):
    """EfficientNet without its classifier; returns the outputs of every second block."""

    def __init__(self, width: float) -> None:
        super().__init__()
        stages = list(_stages(width))
        self._conv_stem = PaddedConv(3, stages[0].in_width, 3, 2, FITTED_ON)
        self._bn0 = _norm(stages[0].in_width)
        self._blocks = nn.ModuleList(BackboneBlock(stage) for stage in stages)
        # In the file, but not used; neither is the last block.
        self._conv_head = nn.Conv2d(stages[-1].out_width, _rounded(HEAD * width), 1, bias=False)
        self._bn1 = _norm(_rounded(HEAD * width))

    @property
    def widths(self) -> Sequence[int]:
        """Return the channels of each output."""
        reduced = cast(Sequence[BackboneBlock], self._blocks[:-1:2])
        return [block._project_conv.out_channels for block in reduced]

    def forward(self, image: Tensor) -> list[Tensor]:
        planes = nn.functional.silu(self._bn0(self._conv_stem(image)))  # (B, C, H/2, W/2)
        outputs = []
        for block in self._blocks[:-1]:
            planes = block(planes)
            outputs.append(planes)
        return outputs[::2]


class Residual(nn.Module):
    """An inverted residual block of the head."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        inside = width * expansion
        self.conv1 = nn.Conv2d(width, inside, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, planes: Tensor) -> Tensor:
        inside = torch.relu(self.bn1(self.conv1(planes)))
        inside = torch.relu(self.bn2(self.conv2(inside)))
        return planes + cast(Tensor, self.bn3(self.conv3(inside)))


class Colours(nn.Module):
    """Normalises colours for the backbone; the file holds mean and standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / (self.std + EPSILON)


class LocationNet(nn.Module):
    """Takes images (B, 3, H, W), RGB in [0, 1]; returns a map (B, 1, H, W), about 1 on reflections.

    It was fitted on the edges of reflections, so its map is thin lines rather than areas. The map is
    not bounded.
    """

    def __init__(self, width: float = WIDTH, layers: int = 6) -> None:
        super().__init__()
        self.norm = Colours()
        self.feat_net = Backbone(width)
        in_widths = self.feat_net.widths
        self.proj_convs = nn.ModuleList(_mixed(channels, REDUCED_WIDTH) for channels in in_widths)
        self.temp_conv = _mixed(REDUCED_WIDTH * len(in_widths), REDUCED_WIDTH * len(in_widths))
        self.stem_conv = _mixed(REDUCED_WIDTH * len(in_widths), 32)
        self.convs = nn.Sequential(*(Residual(32, 4) for _ in range(layers)))
        self.pred_conv = nn.Sequential(nn.Conv2d(32, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        features = self.feat_net(self.norm(image))
        size = features[0].shape[-2:]
        reduced = [
            _resized(reduce(planes), size)
            for reduce, planes in zip(self.proj_convs, features, strict=True)
        ]
        planes = self.stem_conv(self.temp_conv(torch.cat(reduced, 1)))  # (B, 32, H/2, W/2)
        return _resized(self.pred_conv(self.convs(planes)), image.shape[-2:])


class SeparationNet(NAFNet):
    """Takes an image (B, 3, H, W) and its map (B, 1, H, W); returns it without reflections.

    RGB in [0, 1], any H and W, not clamped. The output is the image, not a residual.
    """

    def __init__(
        self,
        width: int,
        encoders: Sequence[int],
        middle: int,
        decoders: Sequence[int],
        fitted_on: int | None = None,
    ) -> None:
        super().__init__(width, encoders, middle, decoders, fitted_on)
        self.intro_Det = nn.Conv2d(1, width, 3, padding=1)
        self.DetEnc = blocks(width, 3)
        self.Merge_conv = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, image: Tensor, location_map: Tensor | None = None) -> Tensor:
        """Return the image without reflections; without a map, it has none."""
        location_map = torch.zeros_like(image[:, :1]) if location_map is None else location_map
        location = self.DetEnc(self.intro_Det(self.padded(location_map)))
        reduced = self.intro(self.padded(image))
        outputs = cast(
            Tensor, self.ending(self.through(self.Merge_conv(torch.cat((reduced, location), 1))))
        )
        return outputs[..., : image.shape[-2], : image.shape[-1]]


def location_net(weights: Mapping[str, Tensor]) -> LocationNet:
    """Build the net of RD.pth, in evaluation mode.

    Raises:
        RuntimeError: the weights are of another net.

    """
    net = LocationNet()
    net.load_state_dict(weights, strict=True)
    return net.eval()


def _stages(width: float) -> Iterator[Stage]:
    side, in_width = -(-FITTED_ON // 2), _rounded(STEM * width)
    for number, kernel, stride, expansion, channels in STAGES:
        out_width = _rounded(channels * width)
        for block in range(math.ceil(number * DEPTH)):
            step = stride if block == 0 else 1
            yield Stage(in_width, out_width, kernel, step, expansion, side, shortcut=block > 0)
            in_width, side = out_width, -(-side // step)


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least 0.9 times the number."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _mixed(in_width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_width, out_width, 1, bias=False),
        nn.BatchNorm2d(out_width),
        nn.ReLU(inplace=True),
    )


def _resized(planes: Tensor, size: Sequence[int]) -> Tensor:
    return nn.functional.interpolate(planes, list(size), mode="bilinear", align_corners=False)
