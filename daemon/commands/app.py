"""The commands of `photomend`, as a typer application."""

import os
from pathlib import Path
from typing import Annotated

import typer

from daemon.commands import (
    ask,
    change,
    config,
    immich,
    inspect,
    pauses,
    review,
    run,
    service,
    train,
    web,
    weights,
)
from daemon.commands.accept import accept
from daemon.commands.compare import compare
from daemon.commands.evaluate import evaluate
from daemon.commands.status import status
from daemon.commands.trial import trial
from daemon.console.exit_codes import Exit

PANELS = {
    "Run": (run.up, run.watch, run.work, run.migrate),
    "Inspect": (status, inspect.jobs, inspect.show, inspect.explain, inspect.doctor, evaluate, compare, trial),
    "Change": (
        change.retry, ask.mend, review.keep, review.reject, review.restore, review.undo,
        change.cancel, pauses.pause, pauses.resume, ask.add, accept, change.forget,
    ),
}  # fmt: skip
_EPILOG = "Exit codes: " + ", ".join(
    f"{code.value} {words}"
    for code, words in {
        Exit.OK: "done",
        Exit.PROBLEM: "a problem was found, or something is missing",
        Exit.USAGE: "wrong usage",
        Exit.SETTINGS: "wrong settings",
        Exit.DATABASE: "database not usable",
        Exit.REDIS: "no Redis",
        Exit.RUNNING: "already running",
        Exit.WAITING: "up --once: photos still wait",
    }.items()
)

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"photomend {version('photomend')}")
        raise typer.Exit


@app.callback(epilog=_EPILOG)
def photomend(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings file.", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Watch photo galleries and mend a copy of each photo that needs it.

    Example: photomend up ~/Photos
    """
    if config is not None:
        os.environ["PHOTOMEND_CONFIG"] = str(config.absolute())


for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command(hidden=True)(run.demo)  # it needs packages that only a checkout installs
app.add_typer(config.app, name="config", rich_help_panel="Inspect")
app.add_typer(weights.app, name="weights", rich_help_panel="Run")
app.add_typer(train.app, name="train", rich_help_panel="Run")
app.add_typer(web.app, name="web", rich_help_panel="Run")
app.add_typer(immich.app, name="immich", rich_help_panel="Run")
app.add_typer(service.app, name="service", rich_help_panel="Run")
