"""The command `web`: the page, its password and the tokens of scripts."""

import sys
from typing import Annotated

import typer

from daemon.console.exit_codes import Exit
from daemon.console.output import when
from storage.settings import settings
from storage.text import printable

app = typer.Typer(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def web(context: typer.Context) -> None:
    """Show the page in which you see photos before and after, and decide; `photomend up` does so too.

    Example: photomend web
    """
    if context.invoked_subcommand is None:
        _serve()


def _serve() -> None:
    from daemon.console import session
    from daemon.supervising import listeners
    from daemon.web import server
    from storage import logs

    logs.to_stderr()
    listeners.may_leave()
    known = settings()
    server.check(known)
    session.engine()
    listening = server.listen(known)
    typer.echo(printable(f"the page is at {server.address(known)}"))
    sys.stdout.flush()
    server.serve(known, listening)


@app.command()
def password(
    remove: Annotated[bool, typer.Option("--remove", help="Ask for no password.")] = False,
) -> None:
    """Set the password of the page; it is read from the terminal, or from a pipe.

    Example: photomend web password
    """
    from daemon.web.credentials import LEAST_LETTERS, Credentials

    kept = Credentials(settings().state_dir)
    if remove:
        typer.echo("the password is removed" if kept.remove_password() else "there was no password")
        return
    text = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(text) < LEAST_LETTERS:
        raise typer.BadParameter(f"a password needs {LEAST_LETTERS} letters or more")
    kept.set_password(text)
    typer.echo("the password is set; all browsers have to log in")


def _asked() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@app.command()
def token(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="What uses it.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Make this token useless.")] = False,
) -> None:
    """Make a token with which a script may use /api/v1/; without a name, list all.

    Example: photomend web token backup-script
    """
    from daemon.web.credentials import Credentials

    kept = Credentials(settings().state_dir)
    if name is None:
        for row in kept.tokens():
            typer.echo(printable(f"{row['name']}, made {when(float(row['created_at']))}"))
    elif revoke and not kept.revoke_token(name):
        typer.echo(printable(f"photomend: there is no token {name}"), err=True)
        raise typer.Exit(Exit.PROBLEM)
    elif not revoke:
        typer.echo(kept.add_token(name))
