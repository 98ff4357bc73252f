"""What each net of the lite engine is fitted to: its training examples, its loss and its report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from storage.enums import Degradation
from tasks.evaluation import metrics
from tasks.training.data import classifier_examples, degradations, photo_pool, veil_examples
from tasks.training.data.degradations import Batch, Recipe
from tasks.training.data.photo_pool import Pool
from tasks.training.nets.classifier import EvidenceNet, severities
from tasks.training.nets.restorer import ResidualNet
from tasks.training.nets.veil import ReflectionNet

CLASSIFIER, REFLECTION = "classifier", "reflection"
NAMES = (*Recipe, CLASSIFIER, REFLECTION)
"""The nets that can be fitted."""
SEED = 20261124
RATE, REFLECTION_RATE = 1e-3, 2e-3
"""The highest learning rates."""
GPU_BATCH = 6
"""How many times larger a batch is on a GPU than on a CPU."""
CROPS = dict.fromkeys(Recipe, (96, 12)) | {Recipe.NOISE: (128, 8), Recipe.MOTION: (128, 7)}
"""Side in pixels of a restorer's examples, and how many a batch has on a CPU: movements are the
longest blur, and the noise of colours is blotchy."""
MIN_ERROR = dict.fromkeys(Recipe, 24 / 255) | {Recipe.NOISE: 6 / 255}
"""Root mean square error that is added to an input's own before the loss is divided by the sum."""
REFLECTION_PHOTOS = 24_000
"""Photos that the net against reflections learns from, 230 KB each; a tenth as many are held
out."""
MIN_CHANGE = 0.08
"""Root mean square change by a pane that is added to an input's own before the loss is divided by
it."""
MIN_SQUARED_ERROR = 1e-8
"""Smallest mean square error of which a root is taken: at 0 the root has no derivative."""


@dataclass(frozen=True)
class Objective:
    """A net to fit, its loss on fresh images, and a report on held-out ones."""

    net: Callable[[], nn.Module]
    loss: Callable[[nn.Module, torch.Generator], Tensor]
    report: Callable[[nn.Module], str]
    rate: float = RATE
    """The highest learning rate."""
    decay: float = 0.0
    """AdamW's weight decay."""


def objective(name: str, photos: Path, good: Sequence[Path], device: torch.device) -> Objective:
    """Build the objective of one of `NAMES` from folders of clean photos and of good ones.

    Raises:
        SystemExit: there are too few photos.

    """
    if name == REFLECTION:
        return reflection_objective(photo_pool.squares([photos, *good]), device)
    if name == CLASSIFIER:
        return classifier_objective(photo_pool.with_good([photos], good), device)
    return restorer_objective(Recipe(name), photo_pool.load([photos]), device)


def restorer_objective(recipe: Recipe, photos: Pool, device: torch.device) -> Objective:
    """Build the objective of a restorer; it reports the gain in dB on held-out photos."""
    tiles = photos.fitted.to(device)
    side, count = CROPS[recipe]
    batch_size = _batch_size(count, device)
    rng = torch.Generator(device).manual_seed(SEED)
    held_out = degradations.make(recipe, photos.held_out.to(device), side, 192, rng)

    def loss(net: nn.Module, rng: torch.Generator) -> Tensor:
        batch = degradations.make(recipe, tiles, batch_size, side, rng)
        error = (batch.degraded - batch.clean).square().mean((1, 2, 3)).sqrt()
        weight = 1 / (error + MIN_ERROR[recipe])
        left = (_run_fast(net, batch.inputs).float() - batch.clean).abs().mean((1, 2, 3))
        weighted: Tensor = (left * weight).mean() / weight.mean()
        return weighted

    return Objective(
        partial(ResidualNet, recipe.channels),
        loss,
        lambda net: _gain_report(*gains(net, held_out)),
    )


def classifier_objective(photos: Pool, device: torch.device) -> Objective:
    """Build the classifier's objective; it reports the AUC per degradation on held-out photos."""
    tiles, batch_size = photos.fitted.to(device), _batch_size(8, device)
    rng = torch.Generator(device).manual_seed(SEED)
    held_out = classifier_examples.labelled(photos.held_out.to(device), 240, 192, rng)

    def loss(net: nn.Module, rng: torch.Generator) -> Tensor:
        examples = classifier_examples.labelled(tiles, batch_size, 192, rng)
        logits = severities(*_run_fast(net, examples.images))
        return functional.binary_cross_entropy_with_logits(logits, examples.severities)

    @torch.inference_mode()
    def report(net: nn.Module) -> str:
        found = torch.cat([severities(*net(part)) for part in torch.split(held_out.images, 24)])
        parts = []
        for column, kind in enumerate(Degradation):
            truth, logits = held_out.severities[:, column], found[:, column]
            area = metrics.auc(logits[truth > 0.5].tolist(), logits[truth == 0].tolist())
            parts.append(f"{kind} {area or 0:.3f}")
        return ", ".join(parts)

    return Objective(EvidenceNet, loss, report)


def reflection_objective(
    squares: Pool, device: torch.device, number: int = REFLECTION_PHOTOS
) -> Objective:
    """Build the objective against reflections, on `number` photos.

    It reports the AUC on held-out photos, and the gain in dB on those with a strong reflection.
    """
    rng, batch_size = torch.Generator().manual_seed(SEED), _batch_size(64, device)
    examples = veil_examples.veiled(squares.fitted, number, rng).to(device)
    count = max(veil_examples.BATCH, number // 10)
    held_out = veil_examples.veiled(squares.held_out, count, rng).to(device)
    truth = veil_examples.unveiled(held_out)

    def loss(net: nn.Module, rng: torch.Generator) -> Tensor:
        which = torch.randint(number, (batch_size,), generator=rng, device=device)
        batch = examples.at(which, rng)
        shares, logits = _run_fast(net, batch.figures)
        error = veil_examples.lifted(batch.figures, shares.float()) - veil_examples.unveiled(batch)
        squared = error.square().mean((1, 2, 3)).clamp(min=MIN_SQUARED_ERROR)
        relative = squared.sqrt() / (batch.changes + MIN_CHANGE)
        entropy = functional.binary_cross_entropy_with_logits(
            logits.float()[:, 0], batch.severities
        )
        return relative.mean() + entropy / 2

    @torch.inference_mode()
    def report(net: nn.Module) -> str:
        figures = held_out.figures.float()
        shares, logits = net(figures)
        scores, is_veiled = logits[:, 0], held_out.severities > 0
        area = metrics.auc(scores[is_veiled].tolist(), scores[~is_veiled].tolist())
        before = _psnr(veil_examples.lifted(figures, torch.zeros_like(shares)), truth)
        gained = _psnr(veil_examples.lifted(figures, shares), truth) - before
        strong = gained[held_out.changes > MIN_CHANGE].mean()
        return f"AUC {area or 0:.3f}, strong ones {strong:+.2f} dB"

    return Objective(ReflectionNet, loss, report, REFLECTION_RATE, decay=0.05)


def _run_fast(net: nn.Module, images: Tensor) -> Any:
    """Run a net channels-last, and in bfloat16 where the processor has such instructions.

    With them a step takes 0.4 of its time, without them 3.5 times as long.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=_has_bfloat16(images.device)):
        return net(images.contiguous(memory_format=torch.channels_last))


@cache
def _has_bfloat16(device: torch.device) -> bool:
    facts = Path("/proc/cpuinfo")
    return device.type != "cpu" or (facts.exists() and "_bf16" in facts.read_text())


def _batch_size(on_a_cpu: int, device: torch.device) -> int:
    return on_a_cpu if device.type == "cpu" else GPU_BATCH * on_a_cpu


@torch.inference_mode()
def gains(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the PSNR in dB of each degraded image, and of the net's result, (B,) each."""
    mended = torch.cat([net(part) for part in torch.split(batch.inputs, 24)]).clamp(0, 1)
    return _psnr(batch.degraded, batch.clean), _psnr(mended, batch.clean)


def _psnr(images: Tensor, clean: Tensor) -> Tensor:
    """Return the PSNR in dB of each image of a batch, (B,); `metrics.psnr` takes one array."""
    return -10 * (images - clean).square().mean((1, 2, 3)).clamp(min=1e-6).log10()


def _gain_report(before: Tensor, after: Tensor) -> str:
    parts = []
    for low, high in ((0, 26), (26, 32), (32, 40), (40, 99)):
        inside = (before >= low) & (before < high)
        if inside.any():
            gain = float((after - before)[inside].mean())
            parts.append(f"from {low}-{high} dB: {gain:+.2f}")
    return ", ".join(parts)
