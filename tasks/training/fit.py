"""Fit a net of the lite engine to photos: `python -m tasks.training.fit noise --photos FOLDER`.

May be stopped at any moment and goes on where it was. On a CPU, 10,000 steps take about 35 minutes
on two cores; on a GPU the batch grows and everything, the spoiling included, happens there.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from storage import atomic_files
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
"""What can be fitted."""
BEGINNING = {
    Recipe.COMPRESSION: Recipe.NOISE, Recipe.SOFTNESS: Recipe.NOISE,
    Recipe.MOTION: Recipe.SOFTNESS,
}  # fmt: skip
"""The fit that another begins from, if there is one: noise is learnt in minutes, and what it takes
to tell an edge from noise serves the others, which from nothing stay near the identity for long."""
GPU_BATCH = 6
"""Times as many images at once, on a GPU."""
RATE, REFLECTION_RATE, LAST_RATE = 1e-3, 2e-3, 1e-5
WARM_UP = 0.03
"""Share of the steps in which the rate grows."""
DECAY = 0.999
"""Of the average of the weights, which is what is kept."""
LEAST_ERROR = dict.fromkeys(Recipe, 24 / 255) | {Recipe.NOISE: 6 / 255}
"""Of an input; one that is spoilt less does not count more."""
VEILED = 24_000
"""Photos that the net against reflections learns from, 230 KB each; a tenth as many are held out."""
LEAST_CHANGE = 0.08
"""By a pane; one that changes less does not count more."""
LEAST_SQUARE = 1e-8
"""Of an error: where every block holds black and there is no pane there is none, and a root of nothing
has no slope."""
MOST_OF_GOOD = 6
"""Tiles of each photo as people keep them."""
REPORT_STEPS = 250
SEED = 20261124


@dataclass(frozen=True)
class Work:
    """A net that is to be fitted, its loss on fresh images, and what is reported on the way."""

    net: Callable[[], nn.Module]
    loss: Callable[[nn.Module, torch.Generator], Tensor]
    report: Callable[[nn.Module], str]
    rate: float = RATE
    """The highest learning rate."""
    decay: float = 0.0
    """Of the weights."""


def restoring(recipe: Recipe, photos: Pool, device: torch.device) -> Work:
    """Learn to undo a degradation; the report tells the gain on held-out photos."""
    tiles = photos.fitted.to(device)
    side, count = (128, 7) if recipe is Recipe.MOTION else (96, 12)  # it reaches further
    count = _batch(count, device)
    chance = torch.Generator(device).manual_seed(SEED)
    fixed = degradations.make(recipe, photos.held_out.to(device), side, 192, chance)

    def loss(net: nn.Module, chance: torch.Generator) -> Tensor:
        batch = degradations.make(recipe, tiles, count, side, chance)
        error = (batch.spoilt - batch.clean).square().mean((1, 2, 3)).sqrt()
        weight = 1 / (error + LEAST_ERROR[recipe])
        found = (_quickly(net, batch.given).float() - batch.clean).abs().mean((1, 2, 3))
        weighted: Tensor = (found * weight).mean() / weight.mean()
        return weighted

    return Work(
        partial(ResidualNet, recipe.channels), loss,
        lambda net: _gains_in_words(*gains(net, fixed)),
    )  # fmt: skip


def classifying(photos: Pool, device: torch.device) -> Work:
    """Learn what is wrong; the report tells the AUC of each degradation on held-out photos."""
    tiles, count = photos.fitted.to(device), _batch(8, device)
    chance = torch.Generator(device).manual_seed(SEED)
    fixed = classifier_examples.labelled(photos.held_out.to(device), 240, 192, chance)

    def loss(net: nn.Module, chance: torch.Generator) -> Tensor:
        made = classifier_examples.labelled(tiles, count, 192, chance)
        told = severities(*_quickly(net, made.images))
        return functional.binary_cross_entropy_with_logits(told, made.severities)

    @torch.inference_mode()
    def report(net: nn.Module) -> str:
        found = torch.cat([severities(*net(part)) for part in torch.split(fixed.images, 24)])
        parts = []
        for column, kind in enumerate(Degradation):
            truth, told = fixed.severities[:, column], found[:, column]
            area = metrics.auc(told[truth > 0.5].tolist(), told[truth == 0].tolist())
            parts.append(f"{kind} {area or 0:.3f}")
        return ", ".join(parts)

    return Work(EvidenceNet, loss, report)


def reflecting(squares: Pool, device: torch.device, number: int = VEILED) -> Work:
    """Learn what a pane lays over whole photos; the report tells AUC and gain on held-out ones."""
    chance, count = torch.Generator().manual_seed(SEED), _batch(64, device)
    made = veil_examples.veiled(squares.fitted, number, chance).to(device)
    fixed = veil_examples.veiled(
        squares.held_out, max(veil_examples.AT_ONCE, number // 10), chance
    ).to(device)
    truth = veil_examples.unveiled(fixed)

    def loss(net: nn.Module, chance: torch.Generator) -> Tensor:
        which = torch.randint(number, (count,), generator=chance, device=device)
        some = made.at(which, chance)
        shares, logits = _quickly(net, some.figures)
        error = veil_examples.lifted(some.figures, shares.float()) - veil_examples.unveiled(some)
        squared = error.square().mean((1, 2, 3)).clamp(min=LEAST_SQUARE)
        relative = squared.sqrt() / (some.changes + LEAST_CHANGE)
        told = functional.binary_cross_entropy_with_logits(logits.float()[:, 0], some.severities)
        return relative.mean() + told / 2

    @torch.inference_mode()
    def report(net: nn.Module) -> str:
        shares, logits = net(fixed.figures.float())
        told, there = logits[:, 0], fixed.severities > 0
        area = metrics.auc(told[there].tolist(), told[~there].tolist())
        veiled = veil_examples.lifted(fixed.figures.float(), torch.zeros_like(shares))
        gained = _psnr(veil_examples.lifted(fixed.figures.float(), shares), truth) - _psnr(
            veiled, truth
        )
        strong = gained[fixed.changes > LEAST_CHANGE].mean()
        return f"AUC {area or 0:.3f}, strong ones {strong:+.2f} dB"

    return Work(ReflectionNet, loss, report, REFLECTION_RATE, decay=0.05)


def _quickly(net: nn.Module, images: Tensor) -> Any:
    """Run a net in half precision and by pixel: on CPUs that can, 2.5 times as fast."""
    with torch.autocast(images.device.type, torch.bfloat16):
        return net(images.contiguous(memory_format=torch.channels_last))


def _by_pixel(net: nn.Module, device: torch.device) -> nn.Module:
    """Lay the weights as `_quickly` wants them."""
    laid: nn.Module = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not typed
    return laid


def _batch(on_a_cpu: int, device: torch.device) -> int:
    return on_a_cpu if device.type == "cpu" else GPU_BATCH * on_a_cpu


class Fit:
    """A net on its way: after `step` steps of its own, and `before` that its weights had taken then."""

    def __init__(self, work: Work, device: torch.device) -> None:
        torch.manual_seed(SEED)
        self.step, self.before = 0, 0
        self._work, self._device = work, device
        self.net, self.average = _by_pixel(work.net(), device), _by_pixel(work.net(), device).eval()
        self.average.load_state_dict(self.net.state_dict())
        self._optimiser = torch.optim.AdamW(self.net.parameters(), RATE, weight_decay=work.decay)
        self._chance = torch.Generator(device)

    def save(self, file: Path) -> None:
        """Write everything that is needed to go on, whole or not at all."""
        state = {
            "net": self.net.state_dict(), "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(), "step": self.step, "before": self.before,
        }  # fmt: skip
        with atomic_files.replacing(file) as temporary:
            torch.save(state, temporary)

    def load(self, file: Path) -> None:
        """Go on from a file that `save` wrote."""
        state = torch.load(file, map_location=self._device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.before = state["step"], state["before"]

    def begin_from(self, file: Path) -> None:
        """Begin with the weights of another fit, that `save` wrote, or of a shipped net.

        What that one was not told, this one does not listen to at first.
        """
        weights = self.net.state_dict()
        for name, known in weights_of(file).items():
            if known.shape != weights[name].shape:
                known = _padded(known, weights[name])
            weights[name] = known
        self.net.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def take(self, steps: int) -> None:
        """Take the next one of `steps` steps."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate(self.step, steps, self._work.rate)
        seed = SEED + 1 + self.before + self.step
        self._chance.manual_seed(seed)  # the same images, wherever it was stopped
        torch.manual_seed(seed)  # and the same of them left out by dropout
        self.net.train()
        loss = self._work.loss(self.net, self._chance)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        self._follow(min(DECAY, self.step / (self.step + 10)))

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        now = self.net.state_dict()
        for name, kept in self.average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(now[name], 1 - decay)
            else:
                kept.copy_(now[name])

    def report(self) -> str:
        """Return how good the averaged net is by now."""
        return self._work.report(self.average)


def rate(step: int, steps: int, most: float = RATE) -> float:
    """Return the learning rate of a step: a warm-up, then half a cosine."""
    warm = min(1.0, (step + 1) / (WARM_UP * steps))
    return LAST_RATE + (most - LAST_RATE) * warm * (1 + math.cos(math.pi * step / steps)) / 2


def _padded(weight: Tensor, like: Tensor) -> Tensor:
    padded = torch.zeros_like(like)
    padded[:, : weight.shape[1]] = weight
    return padded


def weights_of(file: Path) -> dict[str, Tensor]:
    """Return the state dict of a fit, which `Fit.save` wrote, or of a shipped net."""
    if file.suffix != ".onnx":
        kept: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)["average"]
        return kept
    return {
        weight.name: torch.from_numpy(numpy_helper.to_array(weight).astype(np.float32))
        for weight in onnx.load(file).graph.initializer
        if "." in weight.name
    }


def steps_of(file: Path, name: str) -> int:
    """Return how many steps a shipped net of this name has behind it; 0 for another, or for a fit."""
    if file.suffix != ".onnx":
        return 0
    facts = {fact.key: fact.value for fact in onnx.load(file).metadata_props}
    return int(facts["steps"]) if facts.get("recipe") == name else 0


@torch.inference_mode()
def gains(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the PSNR in dB of each spoilt image and of what the net makes of it, (B,) each."""
    mended = torch.cat([net(part) for part in torch.split(batch.given, 24)]).clamp(0, 1)
    return _psnr(batch.spoilt, batch.clean), _psnr(mended, batch.clean)


def _psnr(images: Tensor, clean: Tensor) -> Tensor:
    return -10 * (images - clean).square().mean((1, 2, 3)).clamp(min=1e-6).log10()


def _gains_in_words(before: Tensor, after: Tensor) -> str:
    parts = []
    for least, most in ((0, 26), (26, 32), (32, 40), (40, 99)):
        inside = (before >= least) & (before < most)
        if inside.any():
            gain = float((after - before)[inside].mean())
            parts.append(f"from {least}-{most} dB: {gain:+.2f}")
    return ", ".join(parts)


def _work(name: str, photos: Path, good: Sequence[Path], device: torch.device) -> Work:
    if name == REFLECTION:
        return reflecting(photo_pool.squares([photos, *good]), device)
    tiles = photo_pool.load([photos])
    if name != CLASSIFIER:
        return restoring(Recipe(name), tiles, device)
    kept = tiles.with_also(photo_pool.load(good, MOST_OF_GOOD)) if good else tiles
    return classifying(kept, device)


def main() -> None:
    """Read the command line and fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument(
        "--good",
        type=Path,
        nargs="*",
        default=[],
        help="folders of photos as people keep them, which must not be blamed",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the fit is kept")
    parser.add_argument(
        "--begin", type=Path, help="another fit, or a shipped net, whose weights to begin with"
    )
    parser.add_argument("--steps", type=int, default=10_000)
    wishes = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fit = Fit(_work(wishes.name, wishes.photos, wishes.good, device), device)
    wishes.out.mkdir(parents=True, exist_ok=True)
    file = wishes.out / f"{wishes.name}.pt"
    beginning = wishes.begin or wishes.out / f"{BEGINNING.get(wishes.name)}.pt"
    if file.exists():
        fit.load(file)
    elif beginning.exists():
        fit.begin_from(beginning)
        fit.before = steps_of(beginning, wishes.name)
    begun, first = time.monotonic(), fit.step
    while fit.step < wishes.steps:
        fit.take(wishes.steps)
        if fit.step % REPORT_STEPS == 0 or fit.step == wishes.steps:
            seconds = (time.monotonic() - begun) / (fit.step - first)
            print(
                f"step {fit.step} of {wishes.steps}, {seconds:.2f} s each; {fit.report()}",
                flush=True,
            )
            fit.save(file)


if __name__ == "__main__":
    main()
