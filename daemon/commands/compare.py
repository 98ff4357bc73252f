"""The command `compare`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console.exit_codes import Exit
from daemon.console.output import as_json, table
from storage.enums import EngineName
from storage.errors import PhotomendError
from storage.text import printable

SHEET_SUFFIXES = (".jpg", ".png", ".webp", ".jpeg")


def compare(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos to compare.")],
    engine: Annotated[
        list[EngineName] | None,
        typer.Option(help="An engine; may be given several times. Default: all available."),
    ] = None,
    sheet: Annotated[Path, typer.Option(help="The picture to write.")] = Path("compare.jpg"),
    json: Json = False,
) -> None:
    """Draw photos before and after each engine; write nothing else.

    Example: photomend compare cat.jpg dog.jpg --engine lite --engine paper --sheet pets.jpg
    """
    if sheet.suffix.lower() not in SHEET_SUFFIXES:
        raise typer.BadParameter(f"--sheet must be a file such as compare.jpg, not {sheet}")
    from daemon.reports import comparison
    from storage import jail

    compared, failed = [], False
    engines = engine or comparison.engines()
    with jail.used():
        for path in photos:
            try:
                compared.append(comparison.compare(path, engines))
            except (PhotomendError, OSError) as error:
                failed = True
                reason = getattr(error, "strerror", None) or str(error)
                typer.echo(f"{printable(str(path))}: skipped: {printable(reason)}", err=True)
    if compared:
        comparison.draw(compared, sheet)
    if json:
        as_json([dataclasses.asdict(result) for each in compared for result in each.results])
    elif compared:
        table(
            ["photo", "engine", "category", "score", "decision", "seconds", "reason"],
            [
                (printable(r.path), r.engine, r.category, f"{r.score:.2f}", r.decision,
                 f"{r.seconds:.1f}", r.reason)
                for each in compared for r in each.results
            ],
        )  # fmt: skip
        typer.echo(f"before and after: {printable(str(sheet))}")
    if failed:
        raise typer.Exit(Exit.PROBLEM)
