"""Evaluate an engine on the rows of a manifest, and print and draw the results."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

from daemon.console.output import table
from daemon.reports import contact_sheet
from storage.enums import Category, Decision, Degradation, EngineName
from storage.errors import PhotomendError
from storage.formats.safe_open import Limits
from storage.settings import settings
from storage.text import printable
from tasks import loading
from tasks.evaluation import manifest as manifests
from tasks.evaluation import summary
from tasks.evaluation.manifest import Row
from tasks.evaluation.run import Evaluated, evaluate
from tasks.mend import Engine

EXTREMES = 6
"""Number of the best results that are drawn, and of the worst."""
GROUP_SIZE = 10
"""Number of photos of each group that are drawn."""
SIDE, MARGIN = 420, 50
"""Side of the risk-coverage plot and its margin, in pixels."""


@dataclass(frozen=True)
class Report:
    """The results of a manifest."""

    engine: Engine
    evaluated: Sequence[Evaluated]
    errors: Sequence[str]
    """One sentence for each row that could not be evaluated."""

    @property
    def figures(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return summary.summarise(self.evaluated) | {"bad_rows": list(self.errors)}


def run(manifest: Path, name: EngineName, limit: int | None) -> Report:
    """Evaluate the rows and show the progress; print and skip rows that cannot be evaluated.

    Raises:
        BadManifest: the manifest cannot be used at all.
        WeightsMissing, WeightsWrong, ClassifierUnavailable: the classifier cannot be loaded.

    """
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
            evaluated.append(evaluate(row, engine, limits)[0])
        except (PhotomendError, OSError) as error:
            errors.append(str(error))
            typer.echo(f"skipped: {printable(error)}", err=True)
    return Report(engine, evaluated, errors)


def show(report: Report) -> None:
    """Print the report as tables."""
    figures = report.figures
    groups = {"all": figures["all"], **figures["groups"]}
    table(
        ["group", "photos", "accuracy", "coverage", "clean changed", "restored"],
        [
            (name, f["photos"], _share(f["forced_accuracy"]), _share(f["coverage"]),
             _share(f["clean_touch_rate"]),
             ", ".join(f"{k} {_share(v)}" for k, v in f["acted_on"].items()))
            for name, f in groups.items()
        ],
    )  # fmt: skip
    typer.echo()
    table(
        ["group", "pairs", "PSNR", "SSIM", "FSIM", "harmed", "95 % interval"],
        [
            (name, f["pairs"], _change(f, "psnr", 2), _change(f, "ssim", 4),
             _change(f, "fsim", 4), _share(f["harm_rate"]),
             " to ".join(map(_share, f["harm_rate_95"])))
            for name, f in groups.items() if f["pairs"]
        ],
    )  # fmt: skip
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


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _change(figures: dict[str, Any], name: str, digits: int) -> str:
    before, after = figures[f"{name}_in"], figures[f"{name}_out"]
    return f"{before:.{digits}f} -> {after:.{digits}f} ({after - before:+.{digits}f})"


def draw(report: Report, folder: Path) -> Iterator[Path]:
    """Draw the best and worst results, photos of each group, and the risk-coverage curve.

    Yields each file after it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [each for each in report.evaluated if each.before and each.after]
    pairs.sort(key=_gain)
    for name, chosen in (("best", pairs[::-1][:EXTREMES]), ("worst", pairs[:EXTREMES])):
        if chosen:
            file = folder / f"{name}.jpg"
            contact_sheet.write([_strip(each, report.engine) for each in chosen], file)
            yield file
    for group in sorted({each.row.group for each in report.evaluated}):
        chosen = [each for each in report.evaluated if each.row.group == group]
        chosen.sort(key=lambda each: each.decision is not Decision.RESTORED)  # restored first
        name = re.sub(r"[^\w+-]+", "-", group) or "no-group"
        file = folder / f"group-{name}.jpg"
        contact_sheet.write([_strip(each, report.engine) for each in chosen[:GROUP_SIZE]], file)
        yield file
    curve = summary.coverage_and_risk(report.evaluated)
    if curve:
        yield _plot(curve, folder / "coverage-risk.png")


def _gain(each: Evaluated) -> float:
    return each.after.psnr - each.before.psnr if each.before and each.after else 0.0


def _strip(each: Evaluated, engine: Engine) -> contact_sheet.Strip:
    """Mend the photo again; return its images before and after, the truth and the change."""
    _, views = evaluate(each.row, engine, Limits.of(settings()))
    change = np.clip(0.5 + 4 * (views.after - views.before), 0, 1)
    truth = views.before if views.truth is None else views.truth
    title = f"{each.row.path.name}: {each.verdict.category}, {each.decision}, {_gain(each):+.2f} dB"
    return contact_sheet.Strip(title, (views.before, views.after, truth, change))


def _plot(curve: Sequence[tuple[float, float]], file: Path) -> Path:
    picture = Picture.new("RGB", (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    max_risk = max(0.05, *(risk for _, risk in curve))
    for tenth in range(0, 11, 2):
        x, y = MARGIN + SIDE * tenth / 10, MARGIN + SIDE - SIDE * tenth / 10
        pen.line([(x, MARGIN), (x, MARGIN + SIDE)], "lightgrey")
        pen.line([(MARGIN, y), (MARGIN + SIDE, y)], "lightgrey")
        pen.text((x - 12, MARGIN + SIDE + 6), f"{10 * tenth} %", "black", font)
        pen.text((4, y - 8), f"{10 * tenth * max_risk:.1f} %", "black", font)
    points = [(MARGIN + SIDE * c, MARGIN + SIDE - SIDE * risk / max_risk) for c, risk in curve]
    pen.line(points, "firebrick", 3)
    pen.text((MARGIN, MARGIN - 24), "wrong categories among the most certain photos", "black", font)
    pen.text((MARGIN + SIDE / 2, SIDE + 2 * MARGIN - 22), "share of photos", "black", font)
    picture.save(file)
    return file
