"""Print how the lite engine does beside its bars: `python -m tasks.training.targets FOLDER`.

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

LEAST_GAIN = {"noise": 5.5, "compression": 0.5, "softness": 0.8, "motion": 1.0, "reflection": 1.0}
"""In dB, of photos of native size."""
LEAST_AUC = {
    Degradation.NOISE: 0.99, Degradation.COMPRESSION: 0.99, Degradation.SOFTNESS: 0.97,
    Degradation.MOTION: 0.95, Degradation.REFLECTION: 0.92,
}  # fmt: skip
REAL_PAIRS = ("drealsr_pairs", "refl_real20", "refl_location")


@dataclass(frozen=True)
class Bar:
    """One thing that must be reached."""

    what: str
    bar: str
    measured: str
    reached: bool


def bars(synthetic: Figures, real: Figures) -> Iterator[Bar]:
    """Compare the figures of both manifests with what must be reached."""
    groups, every = synthetic["groups"], synthetic["all"]
    yield _least("right of four categories, balanced", every["forced_accuracy"], 0.9)
    for kind, least in LEAST_AUC.items():
        yield _least(f"AUC of {kind.value}", groups[kind.value]["auc"][kind.value], least, "{:.3f}")
    mixes = [figures for group, figures in groups.items() if "+" in group]
    found = sum(mix["all_found"] * mix["photos"] for mix in mixes) / sum(
        mix["photos"] for mix in mixes
    )
    yield _least("mixes, both found", found, 0.6)
    acted = [share for label, share in every["acted_on"].items() if label != "clean"]
    yield _least("spoilt photos acted on", sum(acted) / len(acted), 0.8)
    yield _most("clean photos touched", groups["clean"]["clean_touch_rate"], 0.02)
    yield _most("hard negatives touched", groups["hard negatives"]["clean_touch_rate"], 0.05)
    for group, least in LEAST_GAIN.items():
        yield _gain(group, groups[group], least)
    for group in REAL_PAIRS:
        if group in real["groups"]:
            yield _gain(group, real["groups"][group], 0.0)
    yield _harm("harmed, synthetic", every, 0.02 * every["pairs"])
    if real["all"]["pairs"]:
        yield _harm("harmed, real", real["all"], 1)
    large = groups["12 megapixels"]
    yield _most("12 megapixels, seconds", 12 * large["seconds_per_megapixel"], 20, "{:.1f}")
    yield _most("most memory, MB", every["peak_mb"], 1500, "{:.0f}")


def _least(what: str, value: float, least: float, form: str = "{:.1%}") -> Bar:
    return Bar(what, "at least " + form.format(least), form.format(value), value >= least)


def _most(what: str, value: float, most: float, form: str = "{:.1%}") -> Bar:
    return Bar(what, "at most " + form.format(most), form.format(value), value <= most)


def _gain(group: str, figures: Figures, least: float) -> Bar:
    before, after = figures["psnr_in"], figures["psnr_out"]
    measured = f"{after - before:+.2f} dB, from {before:.2f} ({figures['pairs']} pairs)"
    return Bar(f"gain, {group}", f"at least {least:+.1f} dB", measured, after - before >= least)


def _harm(what: str, figures: Figures, most: float) -> Bar:
    harmed = round(figures["harm_rate"] * figures["pairs"])
    low, high = figures["harm_rate_95"]
    measured = f"{harmed} of {figures['pairs']} ({low:.1%} to {high:.1%})"
    return Bar(what, f"at most {most:.0f}", measured, harmed <= most)


def main(folder: Path) -> None:
    """Print the table."""
    synthetic, real = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("synthetic", "real")
    )
    table = Table("what", "bar", "measured", "reached", box=None)
    for bar in bars(synthetic, real):
        table.add_row(bar.what, bar.bar, bar.measured, "yes" if bar.reached else "NO")
    Console(width=100).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
