"""The commands `config show` and `config init`."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console.output import as_json
from storage.settings_file import PLACES
from storage.text import command, printable

app = typer.Typer(
    no_args_is_help=True, help="Show the settings in effect, or begin a settings file."
)


@app.command()
def show(json: Json = False) -> None:
    """Show each setting in effect and where it comes from; secrets are hidden.

    Example: photomend config show
    """
    from daemon.reports import in_effect

    if json:
        return as_json(in_effect.to_json())
    for table in in_effect.tables():
        typer.echo(printable(table.title))
        for row in table.settings:
            typer.echo(
                f"  {printable(row.name)} = {printable(row.value)}  ({printable(row.origin)})"
            )
    return None


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; none may be there.")
    ] = Path(PLACES[0]),
) -> None:
    """Write a settings file in which each setting is explained and none is changed.

    Example: photomend config init
    """
    from daemon.reports import settings_template

    file = file.expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(settings_template.text())
    except FileExistsError as error:
        raise typer.BadParameter(
            f"{printable(file)} is there already; it stays as it is"
        ) from error
    typer.echo(f"wrote {printable(file)}; after a change: {command('photomend', 'config', 'show')}")
