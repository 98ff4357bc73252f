"""Measure time and memory of the paper engine's networks: `make bench-networks`.

Each network has random weights of the official shapes; on a CPU, InvSR's UNet and VAE and Qwen are
smaller. Each network and photo size runs in a process of its own, after a small photo. Where the
authors' code works in another way (one patch at a time, `generate`), the same network runs so as
well, and its time is printed as a multiple of ours.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

MEGAPIXELS = (0.25, 1, 4)
WARM_UP = 128
"""Side in pixels of the part of the photo that is restored first."""
Restore = Callable[[np.ndarray], object]


def main() -> None:
    """Print a table with a row for each network and a column for each size."""
    print(f"{'network':<14}" + "".join(f"{size:>8} MP: s, MB, ratio" for size in MEGAPIXELS))
    for name in NETWORKS:
        print(f"{name:<14}" + "".join(_cell(name, size) for size in MEGAPIXELS), flush=True)


def _cell(name: str, megapixels: float) -> str:
    seconds, peak = _run(name, "ours", megapixels)
    theirs = f"{_run(name, 'theirs', megapixels)[0] / seconds:.1f}" if name in THEIRS else "-"
    return f"{seconds:>12.1f}, {peak:>5.0f}, {theirs:>4}"


def _run(name: str, way: str, megapixels: float) -> list[float]:
    """Measure in a process of its own; return seconds and peak memory in MB."""
    site = Path(__file__).parent / "paper/site"  # torchvision beside a torch for CPUs
    ran = subprocess.run(
        [sys.executable, __file__, name, way, str(megapixels)],
        env=os.environ | {"PYTHONPATH": str(site)}, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def measure(name: str, way: str, megapixels: float) -> None:
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
    restore = (NETWORKS if way == "ours" else THEIRS)[name](device)
    restore(photo[:WARM_UP, :WARM_UP])
    if device.type == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    restore(photo)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e6
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps([seconds, peak]))


def invsr(device, **settings) -> Restore:
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
        NoisePredictor().to(device).eval(), *parts, torch.zeros(1, 77, width, device=device),
        **settings,
    )  # fmt: skip

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


def qwen(device, *, by_generating: bool = False) -> Restore:
    """Return Qwen2.5-VL, which reads the letters' odds, or generates a letter and the end."""
    import torch

    from tasks.paper.classifier.qwen import load
    from tasks.paper.classifier.views import views

    file = Path(__file__).parent / "paper/conftest.py"
    spec = importlib.util.spec_from_file_location("_tiny_nets", file)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    kind, video, text, vision = tiny._qwen25()
    if device.type == "cuda":
        torch.set_default_dtype(torch.bfloat16)  # of the weights that are written: 16 GB
        text, vision = text | QWEN_TEXT, vision | QWEN_VISION
    with tempfile.TemporaryDirectory() as folder, torch.device(device):
        classifier = load(tiny._write_qwen(Path(folder), kind, video, text, vision), device)
    if not by_generating:
        return lambda photo: classifier.ask(views(photo))
    return lambda photo: classifier.net.generate(
        **classifier._inputs(views(photo)).to(device), min_new_tokens=2, max_new_tokens=2
    )


NETWORKS: dict[str, Callable[..., Restore]] = {
    "InvSR": invsr, "Real-ESRGAN": real_esrgan, "NAFNet": nafnet, "LaMa": lama, "PP-OCR": text,
    "Qwen2.5-VL": qwen,
}  # fmt: skip
THEIRS: dict[str, Callable[..., Restore]] = {
    "InvSR": partial(invsr, patches_at_once=1),
    "Qwen2.5-VL": partial(qwen, by_generating=True),
}
"""Networks that the authors' code runs in another way."""
QWEN_TEXT = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "head_dim": 128,
    "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
}  # fmt: skip
QWEN_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
    "out_hidden_size": 3584, "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip
"""From the configuration file of Qwen2.5-VL-7B-Instruct."""
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
        case [name, way, megapixels]:
            measure(name, way, float(megapixels))
        case _:
            main()
