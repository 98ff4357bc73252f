"""The command `status`; it imports little, so that it starts fast."""

from functools import partial
from typing import Annotated

import typer

from daemon.console import session
from daemon.console.exit_codes import Exit
from daemon.console.output import Red, as_json, section, wrapped
from daemon.reports.health import problems
from daemon.reports.status import NOTHING, has_left, show, time_left, to_json
from storage.database.status import summary

Json = Annotated[bool, typer.Option("--json", help="Print JSON, in ASCII.")]


def status(
    check: Annotated[
        bool,
        typer.Option("--check", help="Show problems, and exit with code 1 if there are any."),
    ] = False,
    json: Json = False,
) -> None:
    """Show finished, running and waiting jobs, and the time that is left.

    Examples: photomend status

    photomend status --check > /dev/null || echo "photomend has a problem"
    """
    if not session.exists():
        return _not_started(check=check, json=json)
    state = summary(session.engine(), partial(has_left, session.engine()))
    left = time_left(session.engine())
    found = problems(session.engine(), state) if check else []
    if json:
        as_json(to_json(state, left) | ({"problems": found} if check else {}))
    else:
        show(state, left)
        section("PROBLEMS", map(Red, found))
    if found:
        raise typer.Exit(Exit.PROBLEM)
    return None


def _not_started(*, check: bool, json: bool) -> None:
    sentence = "photomend has not run here yet; start it: photomend up ~/Photos"
    if json:
        as_json(NOTHING | ({"problems": [sentence]} if check else {}))
    else:
        typer.echo(wrapped(sentence))
    if check:
        raise typer.Exit(Exit.PROBLEM)
