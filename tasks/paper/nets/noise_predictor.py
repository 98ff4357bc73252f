"""InvSR's noise predictor: it predicts the noise from which diffusion restores a given image.

Yue et al., "Arbitrary-steps image super-resolution via diffusion inversion", CVPR 2025. The net is
a diffusion autoencoder's encoder that also takes the timestep. It is written from the paper and the
names in the checkpoint, with diffusers' blocks. The weights' licence forbids commercial use.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2D, get_down_block
from torch import Tensor, nn
from torch.nn import functional

from storage.errors import WeightsWrong
from tasks.paper.checkpoints import read_tensors

EPSILON = 1e-6
"""Epsilon of each group norm."""
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -30.0, 20.0
"""Limits of the logarithm of the variance, as in diffusers' autoencoders."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a noise predictor; by default those of `noise_predictor_sd_turbo_v5`."""

    widths: tuple[int, ...] = (256, 512)
    """Channels of each level; all but the last halve the image at their end."""
    layers: int = 3
    """Residual blocks of a level, each with self-attention."""
    head_width: int = 64
    groups: int = 32
    wave_width: int = 256
    """Channels of the sinusoidal embedding of the timestep."""
    time_width: int = 512
    latent_width: int = 4


class NoisePredictor(nn.Module):
    """Takes images (B, 3, H, W), RGB in [0, 1], and timesteps (B,), H and W multiples of 2.

    Returns the mean and the log variance of the noise, (B, 4, H/2, W/2) each, which is the shape of
    the latents of the image enlarged four times.
    """

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(sizes or Sizes())

    def forward(self, images: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = self.encoder(2 * images - 1, timesteps).chunk(2, 1)
        return mean, variance.clamp(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)


class Encoder(nn.Module):
    """Takes images (B, 3, H, W) in [-1, 1] and timesteps (B,), returns (B, 8, H/2, W/2)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first, last = sizes.widths[0], sizes.widths[-1]
        self.time_proj = Timesteps(
            sizes.wave_width, flip_sin_to_cos=True, downscale_freq_shift=0
        )  # has no weights
        self.time_embedding = TimestepEmbedding(sizes.wave_width, sizes.time_width)
        self.conv_in = nn.Conv2d(3, first, 3, padding=1)
        in_widths = (first, *sizes.widths[:-1])
        self.down_blocks = nn.ModuleList(
            _level(sizes, *pair, halve=number < len(in_widths))
            for number, pair in enumerate(zip(in_widths, sizes.widths, strict=True), start=1)
        )
        self.mid_block = UNetMidBlock2D(
            in_channels=last,
            temb_channels=sizes.time_width,
            resnet_eps=EPSILON,
            resnet_groups=sizes.groups,
            attention_head_dim=sizes.head_width,
        )
        self.conv_norm_out = nn.GroupNorm(sizes.groups, last, eps=EPSILON)
        self.conv_out = nn.Conv2d(last, 2 * sizes.latent_width, 3, padding=1)

    def forward(self, images: Tensor, timesteps: Tensor) -> Tensor:
        time = self.time_embedding(self.time_proj(timesteps).to(images.dtype))  # (B, 512)
        planes = self.conv_in(images)  # (B, 256, H, W)
        for level in self.down_blocks:
            planes, _ = level(planes, time)  # (B, 256, H/2, W/2), then (B, 512, H/2, W/2)
        planes = self.mid_block(planes, time)
        output: Tensor = self.conv_out(functional.silu(self.conv_norm_out(planes)))
        return output  # (B, 8, H/2, W/2)


def _level(sizes: Sizes, in_width: int, width: int, *, halve: bool) -> nn.Module:
    level: nn.Module = get_down_block(
        "AttnDownBlock2D",
        num_layers=sizes.layers,
        in_channels=in_width,
        out_channels=width,
        temb_channels=sizes.time_width,
        add_downsample=halve,
        downsample_padding=0,  # diffusers then pads only right and below
        resnet_eps=EPSILON,
        resnet_act_fn="silu",
        resnet_groups=sizes.groups,
        attention_head_dim=sizes.head_width,
    )
    return level


def load(file: Path, sizes: Sizes | None = None) -> NoisePredictor:
    """Load the noise predictor from a weights file, in float32 on the CPU, ready to run.

    Raises:
        WeightsWrong: a tensor is missing, unexpected, or of another shape.

    """
    with torch.device("meta"):  # saves random initial weights
        net = NoisePredictor(sizes)
    try:
        net.load_state_dict(read_tensors(file), strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsWrong(f"{file} is not of InvSR's noise predictor") from error
    return net.float().eval().requires_grad_(False)
