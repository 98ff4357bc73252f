"""Measure time and memory of the paper engine's networks: `make bench-networks`.

Each network has random weights of the official shapes; on a CPU, InvSR's UNet and VAE are smaller.
Each network and photo size runs in a process of its own, which prints seconds and peak memory.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MEGAPIXELS = (0.25, 1, 4)
Restore = Callable[[np.ndarray], object]


def main() -> None:
    """Print a table with a row for each network and a column for each size."""
    site = Path(__file__).parent / "paper/site"  # torchvision beside a torch for CPUs
    environment = os.environ | {"PYTHONPATH": str(site)}
    print(f"{'network':<14}" + "".join(f"{size:>10} MP: s, MB" for size in MEGAPIXELS))
    for name in NETWORKS:
        cells = []
        for size in MEGAPIXELS:
            ran = subprocess.run(
                [sys.executable, __file__, name, str(size)],
                env=environment, stdout=subprocess.PIPE, check=True, text=True,
            )  # fmt: skip
            seconds, peak = json.loads(ran.stdout.splitlines()[-1])
            cells.append(f"{seconds:>12.1f}, {peak:>5.0f}")
        print(f"{name:<14}" + "".join(cells), flush=True)


def measure(name: str, megapixels: float) -> None:
    """Run a network on a photo; print seconds and peak memory in MB."""
    import resource

    import torch
    from skimage import data

    from tasks.paper.tensors import best_device

    torch.manual_seed(0)
    device = best_device()
    side = round((megapixels * 1e6) ** 0.5)
    repeats = -(-side // 512)
    photo = np.tile(data.astronaut(), (repeats, repeats, 1))[:side, :side].astype(np.float32) / 255
    restore = NETWORKS[name](device)
    begun = time.perf_counter()
    restore(photo)
    if device.type == "cuda":
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated() / 1e6
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps([time.perf_counter() - begun, peak]))


def invsr(device) -> Restore:
    """Return InvSR, for a photo whose real resolution is half its size."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from tasks.paper.nets.noise_predictor import NoisePredictor
    from tasks.paper.restorers.invsr import InvSR
    from tasks.paper.restorers.resolution import Resolution
    from tasks.paper.super_resolution import generator_of

    real = device.type == "cuda"
    unet = UNet2DConditionModel(**(SD_TURBO_UNET if real else SMALL_UNET))
    autoencoder = AutoencoderKL(**(SD_TURBO_VAE if real else SMALL_VAE))
    half = torch.float16 if real else torch.float32
    parts = (net.to(device, half).eval() for net in (autoencoder, unet))
    width = unet.config.cross_attention_dim
    net = InvSR(
        NoisePredictor().to(device).eval(), *parts, torch.zeros(1, 77, width, device=device)
    )

    def enlarge(tile, place):
        return net(tile, generator_of(place))

    return lambda photo: Resolution(2, 1).restored_by_tiles(photo, enlarge)


def real_esrgan(device) -> Restore:
    """Return Real-ESRGAN x4plus, for a photo whose real resolution is half its size."""
    import torch
    from spandrel import ModelLoader
    from spandrel.architectures.ESRGAN import ESRGAN

    from tasks.paper.restorers.real_esrgan import RealESRGAN
    from tasks.paper.restorers.resolution import Resolution

    net = ModelLoader(device).load_from_state_dict(ESRGAN(num_blocks=23, scale=4).state_dict())
    half = torch.float16 if device.type == "cuda" else torch.float32
    restore = RealESRGAN(net.to(device, half).eval())
    return lambda photo: Resolution(2, 1).restored_by_tiles(
        photo, lambda tile, place: restore(tile)
    )


def nafnet(device) -> Restore:
    """Return NAFNet as for GoPro and REDS: width 64, with local means."""
    from tasks.paper.nets.nafnet import FITTED_ON, NAFNet
    from tasks.paper.restorers.nafnet import Deblur

    net = NAFNet(64, (1, 1, 1, 28), 1, (1, 1, 1, 1), FITTED_ON).eval()
    return Deblur(net.to(device), device)


def lama(device) -> Restore:
    """Return LaMa, with a hole of a tenth of the photo's width."""
    from spandrel import ModelLoader
    from spandrel.architectures.LaMa import LaMa

    from tasks.paper.restorers.inpainting import ready

    net = ModelLoader(device).load_from_state_dict(LaMa(in_nc=4).state_dict())
    inpaint = ready(net, device)

    def restore(photo):
        hole = np.zeros(photo.shape[:2], np.float32)
        side = photo.shape[1] // 10
        hole[side : 2 * side, side : 2 * side] = 1
        return inpaint(photo, hole)

    return restore


def text(_device) -> Restore:
    """Return the text detector of PP-OCR."""
    from tasks.imaging.text_detection import find_text

    return find_text


NETWORKS: dict[str, Callable[..., Restore]] = {
    "InvSR": invsr, "Real-ESRGAN": real_esrgan, "NAFNet": nafnet, "LaMa": lama, "PP-OCR": text,
}  # fmt: skip
SMALL_UNET = {
    "block_out_channels": (32, 64), "layers_per_block": 1, "cross_attention_dim": 32,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
SMALL_VAE = {
    "block_out_channels": (16, 16, 32, 32), "norm_num_groups": 8, "latent_channels": 4,
    "down_block_types": 4 * ("DownEncoderBlock2D",), "up_block_types": 4 * ("UpDecoderBlock2D",),
}  # fmt: skip
SD_TURBO_UNET = {
    "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True,
}  # fmt: skip
SD_TURBO_VAE = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": 4 * ("DownEncoderBlock2D",), "up_block_types": 4 * ("UpDecoderBlock2D",),
}  # fmt: skip
"""From the configuration files of sd-turbo: the values that differ from diffusers' defaults."""


if __name__ == "__main__":
    match sys.argv[1:]:
        case [name, megapixels]:
            measure(name, float(megapixels))
        case _:
            main()
