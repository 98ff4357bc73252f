"""The command `status`: it must start fast, so it imports only what it needs."""

from typing import Annotated

import typer

from daemon.console import session
from daemon.console.exit_codes import Exit
from daemon.console.output import as_json, section
from daemon.reports.status import NOTHING, problems, show, to_json
from storage.database.status import summary
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
    seen = summary(session.engine())
    found = problems(session.engine(), seen) if check else []
    if json:
        as_json(to_json(seen) | ({"problems": found} if check else {}))
    else:
        show(seen)
        section("PROBLEMS", map(printable, found))
    if found:
        raise typer.Exit(Exit.PROBLEM)
    return None


def _not_started(*, check: bool, json: bool) -> None:
    sentence = "photomend has not run here yet; begin with: photomend up ~/Photos"
    if json:
        as_json(NOTHING | ({"problems": [sentence]} if check else {}))
    else:
        typer.echo(sentence)
    if check:
        raise typer.Exit(Exit.PROBLEM)
