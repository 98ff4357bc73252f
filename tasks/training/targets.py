"""Print the figures of the lite engine and its targets: `python -m tasks.training.targets FOLDER`.

The folder holds `synthetic.json` and `real.json`, the figures of `photomend evaluate --json` on the
manifests of `tasks.training.testset`.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from storage.enums import Degradation

Figures = dict[str, Any]

MIN_GAIN = {"noise": 5.5, "compression": 0.5, "softness": 0.8, "motion": 1.0, "reflection": 1.0}
"""Smallest gains in dB."""
MIN_AUC = {
    Degradation.NOISE: 0.99, Degradation.COMPRESSION: 0.99, Degradation.SOFTNESS: 0.97,
    Degradation.MOTION: 0.95, Degradation.REFLECTION: 0.92,
}  # fmt: skip
REAL_PAIRS = ("drealsr_pairs", "refl_real20", "refl_location")


@dataclass(frozen=True)
class Target:
    """One figure and what it must reach."""

    what: str
    required: str
    measured: str
    reached: bool


def compare(synthetic: Figures, real: Figures) -> Iterator[Target]:
    """Yield each target with its figure, from the figures of both manifests."""
    groups, every = synthetic["groups"], synthetic["all"]
    yield _at_least("right of four categories, balanced", every["forced_accuracy"], 0.9)
    for kind, minimum in MIN_AUC.items():
        yield _at_least(
            f"AUC of {kind.value}", groups[kind.value]["auc"][kind.value], minimum, "{:.3f}"
        )
    mixes = [figures for group, figures in groups.items() if "+" in group]
    found = sum(mix["all_found"] * mix["photos"] for mix in mixes) / sum(
        mix["photos"] for mix in mixes
    )
    yield _at_least("mixes, both found", found, 0.6)
    acted = [share for label, share in every["acted_on"].items() if label != "clean"]
    yield _at_least("degraded photos acted on", sum(acted) / len(acted), 0.8)
    yield _at_most("clean photos touched", groups["clean"]["clean_touch_rate"], 0.02)
    yield _at_most("hard negatives touched", groups["hard negatives"]["clean_touch_rate"], 0.05)
    for group, minimum in MIN_GAIN.items():
        yield _gain(group, groups[group], minimum)
    for group in REAL_PAIRS:
        if group in real["groups"]:
            yield _gain(group, real["groups"][group], 0.0)
    yield _harm("harmed, synthetic", every, 0.02 * every["pairs"])
    if real["all"]["pairs"]:
        yield _harm("harmed, real", real["all"], 1)
    large = groups["12 megapixels"]
    yield _at_most("12 megapixels, seconds", 12 * large["seconds_per_megapixel"], 20, "{:.1f}")
    yield _at_most("most memory, MB", every["peak_mb"], 1500, "{:.0f}")


def _at_least(what: str, value: float, minimum: float, form: str = "{:.1%}") -> Target:
    return Target(what, "at least " + form.format(minimum), form.format(value), value >= minimum)


def _at_most(what: str, value: float, maximum: float, form: str = "{:.1%}") -> Target:
    return Target(what, "at most " + form.format(maximum), form.format(value), value <= maximum)


def _gain(group: str, figures: Figures, minimum: float) -> Target:
    before, after = figures["psnr_in"], figures["psnr_out"]
    measured = f"{after - before:+.2f} dB, from {before:.2f} ({figures['pairs']} pairs)"
    return Target(
        f"gain, {group}", f"at least {minimum:+.1f} dB", measured, after - before >= minimum
    )


def _harm(what: str, figures: Figures, maximum: float) -> Target:
    harmed = round(figures["harm_rate"] * figures["pairs"])
    low, high = figures["harm_rate_95"]
    measured = f"{harmed} of {figures['pairs']} ({low:.1%} to {high:.1%})"
    return Target(what, f"at most {maximum:.0f}", measured, harmed <= maximum)


def main(folder: Path) -> None:
    """Print the targets as a table."""
    synthetic, real = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("synthetic", "real")
    )
    table = Table("what", "target", "measured", "reached", box=None)
    for target in compare(synthetic, real):
        reached = "yes" if target.reached else "NO"
        table.add_row(target.what, target.required, target.measured, reached)
    Console(width=100).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
