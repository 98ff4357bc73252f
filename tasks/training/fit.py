"""Fit a net of the lite engine to photos: `python -m tasks.training.fit noise --photos FOLDER`.

A fit that was stopped continues from its file in the output folder. On two cores, 10,000 steps take
about 35 minutes; on a GPU the batches are larger, and the examples are made there too.
"""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from storage import atomic_files
from tasks.training.data.degradations import Recipe
from tasks.training.objectives import NAMES, RATE, SEED, Objective, objective

INITIAL_FIT = {
    Recipe.COMPRESSION: Recipe.NOISE, Recipe.SOFTNESS: Recipe.NOISE,
    Recipe.MOTION: Recipe.SOFTNESS,
}  # fmt: skip
"""The fit whose weights another starts with, if it is in the output folder (`docs/lite.md`,
Recipe)."""
LAST_RATE = 1e-5
"""The learning rate of the last step."""
WARM_UP = 0.03
"""Share of the steps in which the learning rate grows."""
DECAY = 0.999
"""Decay of the running average of the weights, which is the result of a fit."""
REPORT_STEPS = 250
"""Steps between two reports; the fit is saved with each."""


def _channels_last(net: nn.Module, device: torch.device) -> nn.Module:
    """Move a net to a device, with its weights in the memory format of its inputs."""
    moved: nn.Module = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not typed
    return moved


class Fit:
    """A net that is being fitted.

    `step` counts the steps of this fit, `earlier_steps` those that its initial weights had taken.
    """

    def __init__(self, objective: Objective, device: torch.device) -> None:
        torch.manual_seed(SEED)
        self.step, self.earlier_steps = 0, 0
        self._objective, self._device = objective, device
        self.net = _channels_last(objective.net(), device)
        self.average = _channels_last(objective.net(), device).eval()
        self.average.load_state_dict(self.net.state_dict())
        self._optimiser = torch.optim.AdamW(
            self.net.parameters(), RATE, weight_decay=objective.decay
        )
        self._rng = torch.Generator(device)

    def save(self, file: Path) -> None:
        """Write atomically what `load` needs to continue."""
        state = {
            "net": self.net.state_dict(), "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(), "step": self.step,
            "earlier_steps": self.earlier_steps,
        }  # fmt: skip
        with atomic_files.replacing(file) as temporary:
            torch.save(state, temporary)

    def load(self, file: Path) -> None:
        """Continue from a file that `save` wrote."""
        state = torch.load(file, map_location=self._device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.earlier_steps = state["step"], state["earlier_steps"]

    def load_weights(self, file: Path) -> None:
        """Start with the weights of another fit, or of a shipped net.

        Where this net takes more input channels, their weights start at 0.
        """
        weights = self.net.state_dict()
        for name, weight in weights_of(file).items():
            weights[name] = _padded(weight, weights[name])
        self.net.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def take_step(self, steps: int) -> None:
        """Take the next one of `steps` steps."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate(self.step, steps, self._objective.rate)
        seed = SEED + 1 + self.earlier_steps + self.step
        self._rng.manual_seed(seed)  # the same images after an interruption
        torch.manual_seed(seed)  # and the same dropout
        self.net.train()
        loss = self._objective.loss(self.net, self._rng)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        self._update_average(min(DECAY, self.step / (self.step + 10)))

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        weights = self.net.state_dict()
        for name, averaged in self.average.state_dict().items():
            if averaged.is_floating_point():
                averaged.lerp_(weights[name], 1 - decay)
            else:
                averaged.copy_(weights[name])

    def report(self) -> str:
        """Return the objective's report on the averaged net."""
        return self._objective.report(self.average)


def rate(step: int, steps: int, highest: float = RATE) -> float:
    """Return the learning rate of a step: a warm-up, then half a period of a cosine."""
    warm = min(1.0, (step + 1) / (WARM_UP * steps))
    return LAST_RATE + (highest - LAST_RATE) * warm * (1 + math.cos(math.pi * step / steps)) / 2


def _padded(weight: Tensor, like: Tensor) -> Tensor:
    """Return the weight with zeros for the input channels that only `like` has."""
    if weight.shape == like.shape:
        return weight
    padded = torch.zeros_like(like)
    padded[:, : weight.shape[1]] = weight
    return padded


def weights_of(file: Path) -> dict[str, Tensor]:
    """Read the state dict of a fit that `Fit.save` wrote, or of a shipped net."""
    if file.suffix != ".onnx":
        state: dict[str, dict[str, Tensor]]
        state = torch.load(file, map_location="cpu", weights_only=True)
        return state["average"]
    return {
        weight.name: torch.from_numpy(numpy_helper.to_array(weight).astype(np.float32))
        for weight in onnx.load(file).graph.initializer
        if "." in weight.name
    }


def steps_of(file: Path, name: str) -> int:
    """Return the training steps of a shipped net; 0 for another net, or for a fit."""
    if file.suffix != ".onnx":
        return 0
    facts = {fact.key: fact.value for fact in onnx.load(file).metadata_props}
    return int(facts["steps"]) if facts.get("recipe") == name else 0


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
        help="folders of good photos, for the classifier and the net against reflections",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="the folder of the fits")
    parser.add_argument(
        "--initial", type=Path, help="start with the weights of another fit or of a shipped net"
    )
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument(
        "--rate", type=float, help="the highest learning rate; about 3e-4 from good weights"
    )
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    goal = objective(arguments.name, arguments.photos, arguments.good, device)
    fit = Fit(replace(goal, rate=arguments.rate or goal.rate), device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"{arguments.name}.pt"
    initial = arguments.initial or arguments.out / f"{INITIAL_FIT.get(arguments.name)}.pt"
    if file.exists():
        fit.load(file)
    elif initial.exists():
        fit.load_weights(initial)
        fit.earlier_steps = steps_of(initial, arguments.name)
        print(f"initial weights; {fit.report()}", flush=True)
    started, first_step = time.monotonic(), fit.step
    while fit.step < arguments.steps:
        fit.take_step(arguments.steps)
        if fit.step % REPORT_STEPS == 0 or fit.step == arguments.steps:
            seconds = (time.monotonic() - started) / (fit.step - first_step)
            print(
                f"step {fit.step} of {arguments.steps}, {seconds:.2f} s each; {fit.report()}",
                flush=True,
            )
            fit.save(file)


if __name__ == "__main__":
    main()
