"""YOSO, a net for panoptic segmentation, in plain PyTorch.

Hu et al., "You Only Segment Once: Towards Real-Time Panoptic Segmentation", CVPR 2023, section 3.
Each of a hundred proposals has a class and a kernel, which computes its mask from the features.
Names are those of the official checkpoints (under their key "model").
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from tasks.paper.nets.pyramid import PYRAMID_WIDTH, Pyramid, enlarged
from tasks.paper.nets.resnet import ResNet

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's colours, RGB, of 255."""
DIVISOR = 32
"""Images are padded right and below to multiples of this, in pixels."""
SHORTEST, LONGEST = 800, 1333
"""Limits in pixels of the input's shorter and longer side (section 4.2)."""
DEPTHWISE = 3
"""Length of the kernel over a proposal's channels (section 3.3)."""
STAGES, HEADS, FEEDFORWARD_WIDTH = 2, 8, 2048
"""Rounds of refinement, heads of the attention, width of the feedforward layers."""
TEMPERATURE = 0.05
"""Divisor of the class logits (the configuration for COCO)."""


class Sizes(NamedTuple):
    """The sizes of a net."""

    stem: int = 64
    bottleneck: int = 64
    """Inner channels of the first level's blocks; each further level has twice as many."""
    level: int = 256
    """Output channels of the first level."""
    hidden: int = 256
    proposals: int = 100
    classes: int = 133


class Proposals(NamedTuple):
    """The net's output."""

    logits: Tensor
    """(B, N, classes + 1); the last class means no object."""
    masks: Tensor
    """(B, N, H, W), logits: above 0 a pixel belongs to the proposal."""


class Neck(nn.Module):
    """Adds the coordinates to the features."""

    def __init__(self, net: Sizes) -> None:
        super().__init__()
        self.deconv = Pyramid(net.level)
        self.loc_conv = nn.Conv2d(PYRAMID_WIDTH + 2, net.hidden, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        planes = self.deconv(levels)
        batch, _, height, width = planes.shape
        x = torch.linspace(-1, 1, width, device=planes.device).expand(batch, 1, height, width)
        y = torch.linspace(-1, 1, height, device=planes.device)[:, None]
        y = y.expand(batch, 1, height, width)
        return cast(Tensor, self.loc_conv(torch.cat((planes, x, y), 1)))


class DynamicConv(nn.Module):
    """A separable convolution over proposals, with kernels computed from proposals (section 3.3)."""

    def __init__(self, net: Sizes) -> None:
        super().__init__()
        self.weight_linear = nn.Linear(net.hidden, DEPTHWISE + net.proposals)
        self.norm = nn.LayerNorm(net.hidden)

    def forward(self, kernels: Tensor, features: Tensor) -> Tensor:
        """Take (B, N, C) both, and return the same shape."""
        weights = self.weight_linear(kernels)
        along, across = weights[..., :DEPTHWISE], weights[..., DEPTHWISE:]
        neighbours = nn.functional.pad(features, 2 * (DEPTHWISE // 2,)).unfold(-1, DEPTHWISE, 1)
        mixed = torch.relu((neighbours * along[:, :, None]).sum(-1))  # (B, N, C)
        return cast(Tensor, self.norm(across @ mixed))


class Feedforward(nn.Module):
    """Two linear layers with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(width, FEEDFORWARD_WIDTH), nn.ReLU()),
            nn.Linear(FEEDFORWARD_WIDTH, width),
        )

    def forward(self, kernels: Tensor) -> Tensor:
        return kernels + cast(Tensor, self.layers(kernels))


class Refinement(nn.Module):
    """A round of refinement: kernels, masks and classes from the features under each mask."""

    def __init__(self, net: Sizes) -> None:
        super().__init__()
        self.f_atten, self.k_atten = DynamicConv(net), DynamicConv(net)
        self.f_atten_norm, self.k_atten_norm = nn.LayerNorm(net.hidden), nn.LayerNorm(net.hidden)
        self.s_atten = nn.MultiheadAttention(net.hidden, HEADS, batch_first=True)
        self.s_atten_norm = nn.LayerNorm(net.hidden)
        self.ffn = Feedforward(net.hidden)
        self.ffn_norm = nn.LayerNorm(net.hidden)
        self.cls_fcs, self.fc_cls = _layer(net.hidden), nn.Linear(net.hidden, net.classes + 1)
        self.mask_fcs, self.fc_mask = _layer(net.hidden), nn.Linear(net.hidden, net.hidden)

    def forward(
        self, planes: Tensor, kernels: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take (B, C, H, W), (B, N, C) and (B, N, H, W); return logits, new kernels and new masks."""
        hard = (masks > 0).to(planes.dtype)
        features = torch.einsum("bnhw,bchw->bnc", hard, planes)
        features = self.f_atten_norm(features + self.f_atten(kernels, features))
        kernels = self.k_atten_norm(features + self.k_atten(kernels, features))
        attended, _ = self.s_atten(kernels, kernels, kernels, need_weights=False)
        kernels = self.ffn_norm(self.ffn(self.s_atten_norm(kernels + attended)))
        logits = self.fc_cls(self.cls_fcs(kernels)) / TEMPERATURE
        drawn = self.fc_mask(self.mask_fcs(kernels))
        return logits, kernels, torch.einsum("bnc,bchw->bnhw", drawn, planes)


class LossWeights(nn.Module):
    """The weights of the classes in the training loss; in the file, but not used."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("empty_weight", torch.ones(classes + 1))


class Head(nn.Module):
    """Computes masks, and refines them."""

    def __init__(self, net: Sizes) -> None:
        super().__init__()
        self.criterion = LossWeights(net.classes)
        self.kernels = nn.Conv2d(net.hidden, net.proposals, 1)
        self.mask_heads = nn.ModuleList(Refinement(net) for _ in range(STAGES))

    def forward(self, planes: Tensor) -> Proposals:
        *_, last = self.rounds(planes)
        return last

    def rounds(self, planes: Tensor) -> Iterator[Proposals]:
        """Yield the proposals of each round; the last are the best, training uses all."""
        masks = self.kernels(planes)  # (B, N, H/4, W/4)
        kernels = self.kernels.weight[None, :, :, 0, 0].expand(len(planes), -1, -1)  # (B, N, C)
        for refine in self.mask_heads:
            logits, kernels, masks = refine(planes, kernels, masks)
            yield Proposals(logits, masks)


class YosoNet(nn.Module):
    """Takes images (B, 3, H, W), RGB in [0, 1], any H and W; returns masks of 1/4 of the padded size."""

    def __init__(self, net: Sizes | None = None) -> None:
        """Take the sizes of the net; None means those of the official nets for COCO."""
        super().__init__()
        net = net or Sizes()
        self.backbone = ResNet(net.stem, net.bottleneck, net.level)
        self.yoso_neck = Neck(net)
        self.yoso_head = Head(net)

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Self:
        """Build the net of these weights, in evaluation mode.

        Raises:
            RuntimeError: the weights are of another net.

        """
        try:
            net = cls(sizes(weights))
        except KeyError as error:
            raise RuntimeError(f"YOSO's weights have {error}, these do not") from error
        net.load_state_dict(weights, strict=True)
        return net.eval()

    def forward(self, image: Tensor) -> Proposals:
        return cast(Proposals, self.yoso_head(self._features(image)))

    def rounds(self, image: Tensor) -> Iterator[Proposals]:
        """Yield the proposals of each round of refinement; the last are the best."""
        return self.yoso_head.rounds(self._features(image))

    def _features(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.yoso_neck(self.backbone(padded(image))))


def padded(image: Tensor) -> Tensor:
    """Normalise the colours, and pad with zeros right and below."""
    mean, deviation = (image.new_tensor(colour).view(3, 1, 1) for colour in (MEAN, DEVIATION))
    below, right = (-side % DIVISOR for side in image.shape[-2:])
    return nn.functional.pad((255 * image - mean) / deviation, (0, right, 0, below))


def input_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width to which images are resized for the official nets."""
    scale = min(SHORTEST / min(height, width), LONGEST / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def unpadded(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge masks (B, N, H/4, W/4) to the size of the net's input, without its padding."""
    return enlarged(masks, 4)[..., : size[0], : size[1]]


def _layer(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU())


def sizes(weights: Mapping[str, Tensor]) -> Sizes:
    """Return the sizes of the net of these weights.

    Raises:
        KeyError: the weights are of another net.

    """
    names = (
        "backbone.stem.conv1.weight", "backbone.res2.0.conv1.weight", "backbone.res2.0.conv3.weight",
        "yoso_neck.loc_conv.weight", "yoso_head.kernels.weight",
    )  # fmt: skip
    stem, bottleneck, level, hidden, proposals = (weights[name].shape[0] for name in names)
    classes = weights["yoso_head.mask_heads.0.fc_cls.weight"].shape[0] - 1
    return Sizes(stem, bottleneck, level, hidden, proposals, classes)
