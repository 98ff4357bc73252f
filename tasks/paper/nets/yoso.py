"""YOSO, a net for panoptic segmentation, in plain PyTorch.

Hu et al., "You Only Segment Once: Towards Real-Time Panoptic Segmentation", CVPR 2023, section 3.
Each of a hundred proposals has a class and a kernel, which computes its mask from the features.
Names are those of the official checkpoints (under their key "model").
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's colours, RGB, of 255."""
DIVISOR = 32
"""Images are padded right and below to multiples of this, in pixels."""
SHORTEST, LONGEST = 800, 1333
"""Limits in pixels of the input's shorter and longer side (section 4.2)."""
BLOCKS = (3, 4, 6, 3)
"""Blocks of ResNet-50 on each level."""
PYRAMID_WIDTH = 128
"""Channels of the sum of the four levels."""
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

    def __init__(self, net: Sizes) -> None:
        super().__init__()
        self.stem = Stem(net.stem)
        self.res2 = _level(net.stem, net, 0)
        self.res3 = _level(net.level, net, 1)
        self.res4 = _level(2 * net.level, net, 2)
        self.res5 = _level(4 * net.level, net, 3)

    def forward(self, image: Tensor) -> list[Tensor]:
        levels, planes = [], self.stem(image)
        for level in (self.res2, self.res3, self.res4, self.res5):
            planes = level(planes)
            levels.append(planes)
        return levels


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
            _enlarged(self.conv_a5(five), 8)
            + _enlarged(self.conv_a4(four), 4)
            + _enlarged(self.conv_a3(three), 2)
            + self.conv_a2(two)
            + self.bias
        )
        return cast(Tensor, self.output_conv(total))  # (B, 128, H/4, W/4)


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
        self.backbone = ResNet(net)
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
    return _enlarged(masks, 4)[..., : size[0], : size[1]]


def resized(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, N, H, W) bilinearly, aligned at the borders."""
    return nn.functional.interpolate(planes, list(size), mode="bilinear", align_corners=False)


def _level(in_width: int, net: Sizes, depth: int) -> nn.Sequential:
    inside, out_width = net.bottleneck << depth, net.level << depth
    first = Bottleneck(in_width, inside, out_width, 1 if depth == 0 else 2)
    rest = (Bottleneck(out_width, inside, out_width, 1) for _ in range(BLOCKS[depth] - 1))
    return nn.Sequential(first, *rest)


def _layer(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU())


def _enlarged(planes: Tensor, scale: int) -> Tensor:
    return resized(planes, [scale * side for side in planes.shape[-2:]])


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
