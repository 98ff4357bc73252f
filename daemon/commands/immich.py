"""The command `immich`: check the connection to immich, and what waits for it."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console import session
from daemon.console.exit_codes import Exit
from daemon.console.output import as_json, wrapped
from storage.settings import settings
from storage.settings_libraries import IMMICH
from storage.text import counted, printable

app = typer.Typer(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def immich(context: typer.Context, json: Json = False) -> None:
    """Show which results wait until they are stacked with their originals in immich.

    Example: photomend immich
    """
    if context.invoked_subcommand is not None:
        return None
    from daemon.reports.followups import line
    from storage.database import followups
    from storage.database.engine import reading

    with reading(session.engine()) as connection:
        found = [each for each in followups.waiting(connection) if each.app == IMMICH]
    if json:
        return as_json([asdict(each) for each in found])
    for each in found:
        typer.echo(wrapped(printable(line(each))))
    if not found:
        typer.echo("immich knows all results" if settings().immich.url else _UNSET)
    return None


_UNSET = "immich is not used: [immich] has no url"


@app.command()
def check(json: Json = False) -> None:
    """Check address, version, key, permissions and paths, and show how to correct problems.

    Example: photomend immich check
    """
    from daemon.library_apps import immich_check

    known = settings()
    findings = list(immich_check.check(known.immich, known.galleries))
    if json:
        as_json([asdict(finding) for finding in findings])
    else:
        for each in findings:
            mark = "✓" if each.well else "✗"
            typer.echo(f"{mark} {printable(each.subject)}: {printable(each.text)}")
    if not all(finding.well for finding in findings):
        raise typer.Exit(Exit.PROBLEM)


@app.command()
def retry(
    all_results: Annotated[
        bool, typer.Option("--all", help="Also results of before [immich] was set.")
    ] = False,
) -> None:
    """Try at once what waits for immich.

    Example: photomend immich retry --all
    """
    from storage.database import followups

    added = followups.add_results(session.engine()) if all_results else 0
    due = followups.make_due(session.engine(), IMMICH)
    new = f", {added:,} of them new" if added else ""
    typer.echo(f"tried now: {counted(due, 'result')}{new}")
