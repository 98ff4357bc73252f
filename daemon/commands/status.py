"""The command that is asked again and again: it imports nothing that it does not need."""

from typing import Annotated

import typer

from daemon.console import session
from daemon.console.exit_codes import Exit
from daemon.console.output import as_json, section
from daemon.reports import status as overview
from storage.database import status as enquiries
from storage.text import printable

Json = Annotated[bool, typer.Option("--json", help="For scripts: JSON, in ASCII.")]


def status(
    check: Annotated[
        bool,
        typer.Option("--check", help="For monitoring: exit code 1 and why, if all is not well."),
    ] = False,
    json: Json = False,
) -> None:
    """Show what is done, what runs, what waits and how long it will take.

    Examples: photomend status

    photomend status --check > /dev/null || echo "look after photomend"
    """
    if not session.exists():
        return _not_started(check=check, json=json)
    seen = enquiries.summary(session.engine())
    found = overview.problems(session.engine(), seen) if check else []
    if json:
        as_json(overview.to_json(seen) | ({"problems": found} if check else {}))
    else:
        overview.show(seen)
        section("PROBLEMS", map(printable, found))
    if found:
        raise typer.Exit(Exit.PROBLEM)
    return None


def _not_started(*, check: bool, json: bool) -> None:
    sentence = "photomend has not run here yet; begin with: photomend up ~/Photos"
    if json:
        as_json(overview.NOTHING | ({"problems": [sentence]} if check else {}))
    else:
        typer.echo(sentence)
    if check:
        raise typer.Exit(Exit.PROBLEM)
