"""All commands of `photomend`, as typer shows and reads them."""

import os
from pathlib import Path
from typing import Annotated

import typer

from daemon.commands import change, inspect, run, train, weights
from daemon.commands.compare import compare
from daemon.commands.evaluate import evaluate
from daemon.commands.status import status
from daemon.console.exit_codes import Exit

PANELS = {
    "Run": (run.up, run.watch, run.work, run.migrate),
    "Look": (status, inspect.jobs, inspect.show, inspect.explain, inspect.doctor, evaluate, compare),
    "Decide": (
        change.retry, change.reject, change.cancel, change.pause, change.resume, change.add,
    ),
}  # fmt: skip
_EPILOG = "Exit codes: " + ", ".join(
    f"{code.value} {words}"
    for code, words in {
        Exit.OK: "done",
        Exit.PROBLEM: "a check found something, or what was named is not there or cannot be had",
        Exit.USAGE: "usage",
        Exit.SETTINGS: "settings",
        Exit.DATABASE: "database",
        Exit.REDIS: "no Redis",
        Exit.RUNNING: "already running",
    }.items()
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"photomend {version('photomend')}")
        raise typer.Exit


@app.callback(epilog=_EPILOG)
def photomend(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The settings file.", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Watch photo galleries and mend a copy of each photo that needs it.

    Begin with: photomend up ~/Photos
    """
    if config is not None:
        os.environ["PHOTOMEND_CONFIG"] = str(config.absolute())


for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command(hidden=True)(run.demo)  # it needs what only a checkout has
app.add_typer(weights.app, name="weights", rich_help_panel="Run")
app.add_typer(train.app, name="train", rich_help_panel="Run")
