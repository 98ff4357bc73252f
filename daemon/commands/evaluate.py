"""The command `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.output import as_json
from storage.enums import EngineName


def evaluate(
    manifest: Annotated[
        Path, typer.Argument(help="A CSV file with the columns path, label, truth, group.")
    ],
    sheet: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the best and worst results.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="The engine to measure.")] = EngineName.LITE,
    limit: Annotated[int | None, typer.Option(min=1, help="Evaluate only this many rows.")] = None,
    json: Json = False,
) -> None:
    """Measure how well an engine classifies and mends labelled photos.

    A label is A (super-resolution), B (reflection), C (motion blur), D (clean) or ? (unknown). The
    truth is the path of the undamaged photo, or empty. If it is larger, results are enlarged to it.

    Example: photomend evaluate photos.csv --sheet report
    """
    from daemon.reports import evaluation

    report = evaluation.run(manifest, engine, limit)
    if json:
        as_json(report.figures)
    else:
        evaluation.show(report)
    if sheet is not None and report.evaluated:
        for file in evaluation.draw(report, sheet):
            typer.echo(f"written: {file}", err=True)
    if not report.evaluated:
        raise Unknown(f"no photo of {manifest} could be evaluated")
    if report.errors:
        raise typer.Exit(Exit.PROBLEM)
