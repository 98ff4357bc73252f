"""Print the figures of the lite engine and its targets: `python -m tasks.training.targets FOLDER`.

The folder holds `synthetic.json` and `real.json`, the figures of `photomend evaluate --json` on the
manifests of `tasks.training.testset`. Gain on made photos shows little of the gain on real ones, so
both stand in one table, beside the gain of a classical denoiser on the same pairs.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
REAL_NOISE = ("noise_polyu", "noise_polyu as PNG")
REAL_REFLECTIONS = ("refl_real20", "refl_location")
MIN_REAL_GAIN, MIN_REFLECTION_GAIN = 1.5, 0.3
"""Smallest mean gains in dB, of all photos with real noise, and of reflections acted on."""


@dataclass(frozen=True)
class Target:
    """One figure and what it must reach."""

    what: str
    required: str
    measured: str
    reached: bool
    real: bool = False
    """Whether it was measured on real photos."""
    peer: str = ""
    """The same figure of the classical denoiser."""


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
    yield _harm("harmed, synthetic", every, 0.02)
    for target in _real(real["all"], real["groups"]):
        yield replace(target, real=True)
    large = groups["12 megapixels"]
    yield _at_most("12 megapixels, seconds", 12 * large["seconds_per_megapixel"], 15, "{:.1f}")
    yield _at_most("most memory, MB", every["peak_mb"], 1500, "{:.0f}")


def _real(every: Figures, groups: dict[str, Figures]) -> Iterator[Target]:
    """Yield the targets on real photos, as far as there are such photos."""
    for group in REAL_NOISE:
        if group in groups:
            yield _above_peer(_gain(group, groups[group], MIN_REAL_GAIN), groups[group])
            if groups[group]["poor_pairs"]:
                acted_on = groups[group]["poor_acted_on"]
                yield _at_least(f"acted on, {group} below 37 dB", acted_on, 0.8)
    for group in REAL_PAIRS:
        if group in groups:
            yield _gain(group, groups[group], 0.0)
    reflections = [groups[group] for group in REAL_REFLECTIONS if group in groups]
    if reflections:
        yield _where_acted("reflections, where acted on", reflections, MIN_REFLECTION_GAIN)
    if (moved := every["acted_on"].get("motion-blur")) is not None:
        yield _at_least("movements acted on", moved, 0.3)
    if every["clean_touch_rate"] is not None:
        yield _at_most("good photos touched", every["clean_touch_rate"], 0.02)
    if every["other_pairs"]:
        yield _harm("harmed, real", every, 0.01, "other_")


def _above_peer(target: Target, figures: Figures) -> Target:
    """Return a target that the classical denoiser's gain must not reach either."""
    if figures["baseline_gain"] is None:
        return target
    above = figures["gain_beside_baseline"] > figures["baseline_gain"]
    required = f"{target.required}, above the peer"
    return replace(target, required=required, reached=target.reached and above)


def _where_acted(what: str, found: Sequence[Figures], minimum: float) -> Target:
    """Return the target for the mean gain of the pairs that were acted on; none may be worse."""
    acted = [figures for figures in found if figures["gain_acted"] is not None]
    required = f"at least {minimum:+.1f} dB, none worse"
    if not acted:
        return Target(what, required, "none acted on", reached=False)
    number = sum(figures["restored"] for figures in acted)
    gain = sum(figures["gain_acted"] * figures["restored"] for figures in acted) / number
    worst = min(figures["worst_gain_acted"] for figures in acted)
    measured = f"{gain:+.2f} dB, worst {worst:+.2f} ({number} pairs)"
    return Target(what, required, measured, gain >= minimum and worst >= 0)


def _at_least(what: str, value: float, minimum: float, form: str = "{:.1%}") -> Target:
    return Target(what, "at least " + form.format(minimum), form.format(value), value >= minimum)


def _at_most(what: str, value: float, maximum: float, form: str = "{:.1%}") -> Target:
    return Target(what, "at most " + form.format(maximum), form.format(value), value <= maximum)


def _gain(group: str, figures: Figures, minimum: float) -> Target:
    before, gain, peer = figures["psnr_in"], figures["gain"], figures["baseline_gain"]
    measured = f"{gain:+.2f} dB, from {before:.2f} ({figures['pairs']} pairs)"
    return Target(
        f"gain, {group}", f"at least {minimum:+.1f} dB", measured, gain >= minimum,
        peer="" if peer is None else f"{peer:+.2f} dB",
    )  # fmt: skip


def _harm(what: str, figures: Figures, share: float, of: str = "") -> Target:
    """Return the target for the share of harmed pairs, of all or of those with another truth."""
    pairs, (low, high) = figures[f"{of}pairs"], figures[f"{of}harm_rate_95"]
    harmed, most = round(figures[f"{of}harm_rate"] * pairs), math.floor(share * pairs)
    measured = f"{harmed} of {pairs} ({low:.1%} to {high:.1%})"
    peer = figures["baseline_harm_rate"]
    return Target(
        what, f"at most {most}", measured, harmed <= most,
        peer="" if peer is None else f"{peer:.1%} of {figures['baseline_pairs']}",
    )  # fmt: skip


def main(folder: Path) -> None:
    """Print the targets on made and on real photos as one table."""
    synthetic, real = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("synthetic", "real")
    )
    peer = synthetic["baseline"]
    table = Table("what", "target", "made photos", "real photos", peer, "reached", box=None)
    for target in compare(synthetic, real):
        measured = ("", target.measured) if target.real else (target.measured, "")
        reached = "yes" if target.reached else "NO"
        table.add_row(target.what, target.required, *measured, target.peer, reached)
    Console(width=150).print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
