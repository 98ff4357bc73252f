"""The command `evaluate`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.output import as_json
from storage.enums import Baseline, EngineName


def evaluate(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="A CSV file with the columns path, label, truth, group and perhaps camera."
        ),
    ],
    sheet: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the best and worst results.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="The engine to measure.")] = EngineName.LITE,
    baseline: Annotated[
        Baseline,
        typer.Option(help="A classical denoiser that restores the same pairs, to compare with."),
    ] = Baseline.NONE,
    rows: Annotated[
        Path | None, typer.Option(help="CSV file to write, with one row for each photo.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate only this many rows.")] = None,
    json: Json = False,
) -> None:
    """Measure how well an engine classifies and mends labelled photos.

    A label is A (super-resolution), B (reflection), C (motion blur), D (clean) or ? (unknown). The
    truth is the path of the undamaged photo, or empty. If it is larger, results are enlarged to it.
    The camera groups the figures; without that column it is read from the photo's EXIF.

    Example: photomend evaluate photos.csv --sheet report --rows photos-found.csv --baseline nlm
    """
    from daemon.reports import evaluation, evaluation_sheets
    from storage import jail
    from tasks.evaluation import rows as csv_rows

    if rows is not None:  # fails before the photos are mended, not after
        rows.parent.mkdir(parents=True, exist_ok=True)
        rows.open("a").close()
    with tempfile.TemporaryDirectory(prefix="photomend-") as folder:
        cells = None if sheet is None else Path(folder)
        with jail.used():
            report = evaluation.run(manifest, engine, limit, baseline, cells)
        if json:
            as_json(report.figures)
        else:
            evaluation.show(report)
        if rows is not None:
            csv_rows.write(report.evaluated, rows)
            typer.echo(f"written: {rows}", err=True)
        if sheet is not None and cells is not None and report.evaluated:
            for file in evaluation_sheets.draw(report.evaluated, cells, sheet):
                typer.echo(f"written: {file}", err=True)
    if not report.evaluated:
        raise Unknown(f"no photo of {manifest} could be evaluated")
    if report.errors:
        raise typer.Exit(Exit.PROBLEM)
