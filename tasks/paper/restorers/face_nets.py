"""Load the nets that restore an aligned face: CodeFormer and GFPGAN, built by spandrel.

Both take and return (1, 3, 512, 512), RGB in [-1, 1]. The nets are called directly, because
spandrel's descriptors clamp to [0, 1].
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from storage.errors import WeightsWrong
from tasks.paper import gpu
from tasks.paper.checkpoints import read_tensors

FaceNet = Callable[[Tensor], Tensor]
"""Aligned face → restored face, (1, 3, 512, 512), RGB in about [-1, 1]."""

FIDELITY = 0.8
"""CodeFormer's weight, in [0, 1]; its author advises 0.7 to 1 for mild degradations."""


def loaded_when_needed(load: Callable[[], FaceNet]) -> FaceNet:
    """Return a net that is loaded for its first face."""

    @cache
    def loaded() -> FaceNet:
        with gpu.errors(loading=True):
            return load()

    return lambda face: loaded()(face)


def codeformer(file: Path, device: torch.device, fidelity: float = FIDELITY) -> FaceNet:
    """Load CodeFormer, whose licence forbids commercial use.

    `fidelity` is 0 for the best quality and 1 for the same person. Zhou et al., "Towards Robust Blind
    Face Restoration with Codebook Lookup Transformer", NeurIPS 2022.

    Raises:
        WeightsWrong: the file is damaged, or of another net.

    """
    net = _build(file, device, "CodeFormer")
    return lambda face: cast(Tensor, net(face, weight=fidelity)[0])


def gfpgan(file: Path, device: torch.device) -> FaceNet:
    """Load GFPGAN 1.4, which has no setting for fidelity.

    The noise that it adds to skin and hair is the one in its file, so results are reproducible.
    Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021.

    Raises:
        WeightsWrong: the file is damaged, or of another net.

    """
    net = _build(file, device, "GFPGAN")
    return lambda face: cast(Tensor, net(face, return_rgb=False, randomize_noise=False)[0])


def _build(file: Path, device: torch.device, architecture: str) -> Any:
    """Build a net by spandrel; its arguments depend on the architecture."""
    import spandrel_extra_arches  # type: ignore[import-untyped,import-not-found,unused-ignore]
    from spandrel import ModelLoader, UnsupportedModelError

    spandrel_extra_arches.install(ignore_duplicates=True)
    tensors = read_tensors(file)
    try:
        built = ModelLoader(device).load_from_state_dict(tensors)
    except (UnsupportedModelError, RuntimeError) as error:
        raise WeightsWrong(f"{file} is not of {architecture}") from error
    if built.architecture.id != architecture:
        raise WeightsWrong(f"{file} is of {built.architecture.name}, not of {architecture}")
    return built.model.eval()
