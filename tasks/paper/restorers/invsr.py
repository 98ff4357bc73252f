"""Enlarge an image four times by InvSR: diffusion from a predicted noise, in one to five steps.

Yue et al., "Arbitrary-steps image super-resolution via diffusion inversion", CVPR 2025. Several steps
are better for blurred images, one step for noisy ones. Written from the paper, with diffusers'
networks and scheduler. The licence of the noise predictor's weights forbids commercial use.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional

from storage.photos import Image
from tasks import progress
from tasks.paper import archives, gpu, room
from tasks.paper.nets import noise_predictor
from tasks.paper.nets.noise_predictor import NoisePredictor
from tasks.paper.restorers import patches
from tasks.paper.restorers.patches import MULTIPLE, SCALE
from tasks.paper.tensors import image_of, in_float32, tensor_of, without_infinite

log = logging.getLogger(__name__)

TIMESTEPS = {
    1: (199,),
    2: (199, 99),
    3: (199, 99, 49),
    4: (199, 149, 99, 49),
    5: (249, 199, 149, 99, 49),
}
"""Number of steps → their timesteps of sd-turbo's thousand, as the authors chose them. The noise
predictor was trained to start at 249, 199, 149 and 99."""
PROMPT = (
    "Cinematic, high-contrast, photo-realistic, 8k, ultra HD, meticulous detailing, hyper sharpness, "
    "perfect without deformations"
)
"""The authors' prompt, the same for every image."""

# The configuration of sd-turbo's scheduler.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}


@dataclass(frozen=True, eq=False)
class InvSR:
    """Enlarges images in patches that overlap by half."""

    predictor: NoisePredictor
    """In float32; autoencoder and UNet may be in half precision."""
    autoencoder: AutoencoderKL
    unet: UNet2DConditionModel
    prompt: Tensor
    """The embedding of `PROMPT`, (1, 77, 1024)."""
    steps: int = 1
    patch_pixels: int = 128
    """Side of a patch of the input, a multiple of 16; 256 for images of a megapixel."""
    patches_at_once: int = 8
    _fitting: dict[torch.dtype, int] = field(default_factory=dict, init=False, repr=False)
    """The number of patches at once by type: chosen from the free memory, less if they did not fit."""

    def __post_init__(self) -> None:
        if self.steps not in TIMESTEPS or self.patch_pixels % MULTIPLE:
            raise ValueError(f"InvSR makes no {self.steps} steps on {self.patch_pixels} pixels")

    def __call__(self, image: Image, generator: torch.Generator) -> Image:
        """Return an image of four times the size, RGB in [0, 1], any H and W.

        `generator`, on the CPU, draws the noise of one patch after the other, so the result depends
        on the seed only, not on the number of patches at once.

        Raises:
            torch.OutOfMemoryError: even a single patch does not fit.
            FloatingPointError: values are not finite, in float32 either.

        """
        height, width = image.shape[:2]
        padded, top, left = patches.padded(image, self.patch_pixels)
        rows, columns = (patches.weights(side, self.patch_pixels) for side in padded.shape[:2])
        result = np.zeros((SCALE * padded.shape[0], SCALE * padded.shape[1], 3), np.float32)
        places = list(product(rows, columns))
        with progress.of(len(places)) as count:
            for (y, x), patch in self._patches(padded, places, generator):
                weight = rows[y][:, np.newaxis, np.newaxis] * columns[x][:, np.newaxis]
                result[
                    patches.enlarged(y, self.patch_pixels), patches.enlarged(x, self.patch_pixels)
                ] += weight * patch
                count(1)
        result = result[patches.enlarged(top, height), patches.enlarged(left, width)]
        if not np.isfinite(result).all():
            raise FloatingPointError("InvSR returned values that are not finite, even in float32")
        return np.clip(result, 0, 1)

    def _patches(
        self, image: Image, places: list[tuple[int, int]], generator: torch.Generator
    ) -> Iterator[tuple[tuple[int, int], Image]]:
        """Enlarge the patches that start at `places`, a few at once."""
        side = self.patch_pixels
        for first in range(0, len(places), self.patches_at_once):
            some = places[first : first + self.patches_at_once]
            cut = [image[y : y + side, x : x + side] for y, x in some]
            small = torch.cat([tensor_of(patch, self.unet.device) for patch in cut])
            grid = (4, side // 2, side // 2)
            draws = torch.stack([torch.randn((2, *grid), generator=generator) for _ in some])
            result = self._enlarge_finite(small, draws.to(self.unet.device))
            yield from zip(some, (image_of(patch[None]) for patch in result), strict=True)

    @torch.inference_mode()
    def _enlarge_finite(self, small: Tensor, draws: Tensor) -> Tensor:
        """Enlarge patches; those that exceed the range of float16 again, in float32."""
        made = self._enlarge_fitting(small, draws)
        wrong = ~made.isfinite().flatten(1).all(1)
        if not wrong.any() or self.unet.dtype == torch.float32:
            return made
        log.info("%s patches exceed the range of %s", int(wrong.sum()), self.unet.dtype)
        with in_float32(self.unet, self.autoencoder):
            made[wrong] = self._enlarge_fitting(small[wrong], draws[wrong])
        return made

    def _enlarge_fitting(self, small: Tensor, draws: Tensor) -> Tensor:
        """Enlarge patches, as many at once as fit into memory."""
        dtype, device = self.unet.dtype, small.device
        name = f"InvSR in {dtype}"
        if dtype not in self._fitting:
            first = partial(self.enlarge, small[:1], draws[:1])
            self._fitting[dtype] = room.fitting(name, device, self.patches_at_once, first)

        def enlarge(number: int) -> Tensor:
            groups = zip(*(torch.split(each, number) for each in (small, draws)), strict=True)
            made = torch.cat([self.enlarge(*group) for group in groups])
            if number != self._fitting[dtype]:
                room.note(name, device, number)
                self._fitting[dtype] = number
            return made

        return gpu.halving(enlarge, self._fitting[dtype], 1, "the number of patches at once")

    @torch.inference_mode()
    def enlarge(self, small: Tensor, draws: Tensor) -> Tensor:
        """Enlarge patches (B, 3, P, P), RGB in [0, 1], to (B, 3, 4P, 4P) in [0, 1].

        `draws`, (B, 2, 4, P/2, P/2), are normally distributed: for the autoencoder and the noise
        predictor.
        """
        latents = self.denoise(*self.start(small, draws))[-1]
        scaled = latents / self.autoencoder.config.scaling_factor
        image: Tensor = self.autoencoder.decode(scaled.to(self.autoencoder.dtype)).sample
        return without_infinite(image.float() / 2 + 0.5).clamp(0, 1)

    @torch.inference_mode()
    def start(self, small: Tensor, draws: Tensor) -> tuple[Tensor, EulerDiscreteScheduler]:
        """Return the noisy latents (B, 4, P/2, P/2) from which denoising starts, and its schedule."""
        large = functional.interpolate(small, scale_factor=SCALE, mode="bicubic")
        coded = self.autoencoder.encode((2 * large - 1).to(self.autoencoder.dtype)).latent_dist
        latents = coded.mean.float() + coded.std.float() * draws[:, 0]
        schedule = EulerDiscreteScheduler(**SCHEDULE)
        schedule.set_timesteps(timesteps=list(TIMESTEPS[self.steps]), device=small.device)
        start = schedule.timesteps[:1]
        noise = self._noise(small, start.expand(len(small)), draws[:, 1])
        latents = latents * self.autoencoder.config.scaling_factor
        return schedule.add_noise(latents, noise, start), schedule

    def _noise(self, small: Tensor, timesteps: Tensor, draws: Tensor) -> Tensor:
        dtype = self.unet.dtype
        with torch.autocast(small.device.type, dtype, enabled=dtype != torch.float32):
            mean, variance = self.predictor(small, timesteps)
        noise: Tensor = mean.float() + torch.exp(variance.float() / 2) * draws
        return noise

    @torch.inference_mode()
    def denoise(self, latents: Tensor, schedule: EulerDiscreteScheduler) -> list[Tensor]:
        """Return the latents (B, 4, P/2, P/2) after each step."""
        prompt = self.prompt.to(self.unet.device, self.unet.dtype).expand(len(latents), -1, -1)
        after = []
        for timestep in schedule.timesteps:
            scaled = schedule.scale_model_input(latents, timestep).to(self.unet.dtype)
            noise = self.unet(scaled, timestep, encoder_hidden_states=prompt).sample
            latents = schedule.step(noise.float(), timestep, latents).prev_sample
            after.append(latents)
        return after


def load(
    base: Path,
    predictor: Path,
    prompt: Tensor,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    steps: int = 1,
    patch_pixels: int = 128,
    patches_at_once: int = 8,
    autoencoder_pixels: int = 1024,
) -> InvSR:
    """Build InvSR from the folder of sd-turbo and the file of the noise predictor.

    `prompt` is the result of `embed_prompt`. The autoencoder runs on tiles of at most
    `autoencoder_pixels` a side.

    Raises:
        WeightsWrong: the file does not hold the noise predictor.

    """
    autoencoder = _frozen(AutoencoderKL, base / "vae", device, dtype)
    _limit_tiles(autoencoder, autoencoder_pixels)
    unet = _frozen(UNet2DConditionModel, base / "unet", device, dtype)
    net = noise_predictor.load(predictor).to(device)
    return InvSR(net, autoencoder, unet, prompt.to(device), steps, patch_pixels, patches_at_once)


def _frozen(kind: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Load a net of diffusers from a folder, in evaluation mode; nothing is downloaded."""
    archives.check_folder(folder)
    net = kind.from_pretrained(
        folder,
        torch_dtype=dtype,
        variant=_variant(folder),
        local_files_only=True,
        use_safetensors=True,
    )
    return net.to(device).eval().requires_grad_(False)


def _variant(folder: Path) -> str | None:
    """Return the variant of sd-turbo's files: "fp16" if they are in half precision."""
    return "fp16" if any(folder.glob("*.fp16.safetensors")) else None


def _limit_tiles(autoencoder: AutoencoderKL, pixels: int) -> None:
    halvings = len(autoencoder.config.block_out_channels) - 1
    autoencoder.enable_tiling()
    autoencoder.tile_sample_min_size = pixels
    autoencoder.tile_latent_min_size = pixels >> halvings


@torch.inference_mode()
def embed_prompt(base: Path, text: str = PROMPT) -> Tensor:
    """Return the embedding of a prompt by sd-turbo's text encoder, (1, 77, 1024), float32.

    The encoder is as large as the UNet in half precision, so its constant result should be stored.
    """
    from transformers import CLIPTextModel, CLIPTokenizer  # needed once on a machine

    archives.check_folder(base)
    tokenizer = CLIPTokenizer.from_pretrained(
        base / "tokenizer", local_files_only=True, trust_remote_code=False
    )
    encoder = CLIPTextModel.from_pretrained(
        base / "text_encoder",
        variant=_variant(base / "text_encoder"),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    ids = tokenizer(text, padding="max_length", truncation=True, return_tensors="pt").input_ids
    result: Tensor = encoder.float().eval()(ids).last_hidden_state
    return result
