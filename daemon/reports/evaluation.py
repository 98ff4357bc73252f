"""Evaluate an engine on the rows of a manifest, and print the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import track

from daemon.console.output import table
from daemon.reports import evaluation_sheets
from storage.enums import Baseline, Category, Degradation, EngineName
from storage.errors import PhotomendError
from storage.formats.safe_open import Limits
from storage.settings import settings
from storage.text import printable
from tasks import loading
from tasks.evaluation import baselines, summary
from tasks.evaluation import manifest as manifests
from tasks.evaluation.manifest import Row
from tasks.evaluation.run import Evaluated, evaluate


@dataclass(frozen=True)
class Report:
    """The results of a manifest."""

    baseline: Baseline
    evaluated: Sequence[Evaluated]
    errors: Sequence[str]
    """One sentence for each row that could not be evaluated."""

    @property
    def figures(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        facts = {"baseline": self.baseline.value, "bad_rows": list(self.errors)}
        return summary.summarise(self.evaluated) | facts


def run(
    manifest: Path,
    name: EngineName,
    limit: int | None = None,
    baseline: Baseline = Baseline.NONE,
    cells: Path | None = None,
) -> Report:
    """Evaluate the rows and show the progress; print and skip rows that cannot be evaluated.

    `cells` is a folder for the parts of photos that `evaluation_sheets.draw` needs.

    Raises:
        BadManifest: the manifest cannot be used at all.
        BaselineMissing: the baseline is not installed.
        WeightsMissing, WeightsWrong, ClassifierUnavailable: the classifier cannot be loaded.

    """
    baselines.check(baseline)
    engine, limits = loading.engine(name), Limits.of(settings())
    engine.classifier()  # before the rows, so that the error occurs once
    rows = list(islice(manifests.read(manifest), limit))
    evaluated: list[Evaluated] = []
    errors: list[str] = []
    console = Console(stderr=True)
    for row in track(rows, "photos", console=console, disable=not console.is_terminal):
        try:
            if not isinstance(row, Row):
                raise row
            each, views = evaluate(row, engine, limits, baseline)
            if cells is not None:
                evaluation_sheets.keep(views, cells, len(evaluated))
            evaluated.append(each)
        except (PhotomendError, OSError) as error:
            errors.append(str(error))
            typer.echo(f"skipped: {printable(error)}", err=True)
    return Report(baseline, evaluated, errors)


def show(report: Report) -> None:
    """Print the report as tables."""
    figures = report.figures
    cameras = {f"camera {name}": found for name, found in figures["cameras"].items()}
    groups = {"all": figures["all"], **figures["groups"], **cameras}
    table(
        ["group", "photos", "accuracy", "coverage", "clean changed", "restored", "seen", "unseen",
         "refused by the guard"],
        [
            (name, f["photos"], _share(f["forced_accuracy"]), _share(f["coverage"]),
             _share(f["clean_touch_rate"]),
             _shares(f["acted_on"]), _share(f["visible_rate"]), _share(f["unseen_rate"]),
             _shares(f["shifted_rate"]))
            for name, f in groups.items()
        ],
    )  # fmt: skip
    typer.echo()
    table(
        ["group", "pairs", "PSNR", "gain where restored", "SSIM", "FSIM", "harmed", "95 % interval"],
        [
            (name, f["pairs"], _change(f, "psnr", 2), _gain(f["gain_acted"]), _change(f, "ssim", 4),
             _change(f, "fsim", 4), _share(f["harm_rate"]),
             " to ".join(map(_share, f["harm_rate_95"])))
            for name, f in groups.items() if f["pairs"]
        ],
    )  # fmt: skip
    if report.baseline is not Baseline.NONE:
        _show_baseline(report.baseline, groups)
    typer.echo()
    overall = figures["all"]
    table(
        ["label", *(f"found {category}" for category in Category)],
        [(label, *counts.values()) for label, counts in overall["confusion"].items()],
    )
    typer.echo()
    table(
        ["degradation", "AUC"],
        [(kind.value, _figure(overall["auc"][kind.value], 3)) for kind in Degradation],
    )
    typer.echo(
        f"calibration error {_figure(overall['ece'], 3)}, {len(report.errors)} rows skipped; "
        f"{_figure(overall['seconds_per_megapixel'], 2)} s per megapixel, "
        f"{overall['peak_mb']:.0f} MB peak"
    )


def _show_baseline(baseline: Baseline, groups: dict[str, dict[str, Any]]) -> None:
    """Print the gain and harm of the baseline beside the engine's gain on the same pairs."""
    typer.echo()
    table(
        ["group", "pairs", "gain", f"gain of {baseline}", f"PSNR of {baseline}",
         f"harmed by {baseline}"],
        [
            (name, f["baseline_pairs"], _gain(f["gain_beside_baseline"]), _gain(f["baseline_gain"]),
             _figure(f["baseline_psnr_out"], 2), _share(f["baseline_harm_rate"]))
            for name, f in groups.items() if f["baseline_pairs"]
        ],
    )  # fmt: skip


def _shares(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {_share(value)}" for name, value in values.items())


def _gain(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f} dB"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _change(figures: dict[str, Any], name: str, digits: int) -> str:
    before, after = figures[f"{name}_in"], figures[f"{name}_out"]
    return f"{before:.{digits}f} -> {after:.{digits}f} ({after - before:+.{digits}f})"
