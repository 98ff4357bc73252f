"""Compare engines on one's own photos."""

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

PICTURES = (".jpg", ".png", ".webp", ".jpeg")


def compare(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos to look at.")],
    engine: Annotated[
        list[EngineName] | None,
        typer.Option(help="An engine; may be given again. Without it, all that can work here."),
    ] = None,
    sheet: Annotated[Path, typer.Option(help="The picture to draw.")] = Path("compare.jpg"),
    json: Json = False,
) -> None:
    """Draw what each engine would make of photos, before and after; nothing else is written.

    Example: photomend compare cat.jpg dog.jpg --engine lite --engine paper --sheet pets.jpg
    """
    if sheet.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"--sheet is a file like compare{PICTURES[0]}, not {sheet}")
    from daemon.reports import comparison

    found, failed = [], False
    engines = engine or comparison.engines()
    for path in photos:
        try:
            found.append(comparison.compare(path, engines))
        except (PhotomendError, OSError) as error:
            failed = True
            reason = getattr(error, "strerror", None) or str(error)
            typer.echo(f"{printable(str(path))}: left out: {printable(reason)}", err=True)
    if found:
        comparison.draw(found, sheet)
    if json:
        as_json([dataclasses.asdict(shown) for each in found for shown in each.shown])
    elif found:
        table(
            ["photo", "engine", "found", "score", "decision", "seconds", "reason"],
            [
                (printable(s.path), s.engine, s.category, f"{s.score:.2f}", s.decision,
                 f"{s.seconds:.1f}", s.reason)
                for each in found for s in each.shown
            ],
        )  # fmt: skip
        typer.echo(f"before and after: {printable(str(sheet))}")
    if failed:
        raise typer.Exit(Exit.PROBLEM)
