"""Let PyPI's torchvision import beside a torch that was built for CPUs only.

Its operators come with CUDA libraries that such a machine lacks, and without them it stops at the
declaration of two. And let tiny weights pass for the real ones, whose hashes they cannot have.
Python imports this in the processes that the tests of the paper engine start.
"""

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

RUNS_NO_NET = any(word in " ".join(sys.orig_argv) for word in (
    "photomend watch", "photomend work", "photomend status", "gallery_process", "semaphore_tracker",
))  # fmt: skip
"""Whether this process needs no torch, which takes seconds to import."""


def _declare() -> None:
    import torch

    if torch.version.cuda is None and not hasattr(torch.library, "_photomend"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.library._photomend = library  # it lasts as long as this does


if not RUNS_NO_NET and all(map(importlib.util.find_spec, ("torch", "torchvision"))):
    _declare()


def sieve_boxes():
    """Make ultralytics filter boxes itself if torchvision's operators are missing."""
    import torchvision
    from ultralytics.utils.nms import TorchNMS

    if not torchvision.extension._has_ops():
        torchvision.ops.nms = TorchNMS.nms


def without_hashes(table):
    """Return the table of weights without sizes and hashes."""
    free = {"sha256": None, "bytes": None, "about_bytes": 10**12}
    return tuple(
        replace(weights, files=tuple(replace(file, **free) for file in weights.files))
        for weights in table
    )


def tiny_noise_predictor():
    """Return the sizes of the tiny noise predictor."""
    from tasks.paper.nets.noise_predictor import Sizes

    return Sizes((32, 64), layers=2, head_width=16, groups=16, wave_width=128, time_width=48)


if "TINY_WEIGHTS" in os.environ and not RUNS_NO_NET:
    from storage.weights import catalogue, folder  # the package itself takes it from there

    catalogue.TABLE = folder.TABLE = without_hashes(catalogue.TABLE)
    from tasks.paper.nets import noise_predictor

    _sizes = tiny_noise_predictor()
    noise_predictor.Sizes = lambda: _sizes

if "FAKE_GPU" in os.environ:
    from tasks import gpu_probe

    gpu_probe.has_card = (Path(os.environ["FAKE_GPU"]) / "card").exists
    if not RUNS_NO_NET:
        import fake_gpu  # noqa: F401  a module beside this one
