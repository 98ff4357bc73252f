"""The command `photomend`; each command imports heavy libraries only when it runs."""

import os
import signal
import sys
from io import TextIOWrapper

import typer
from sqlalchemy.exc import DatabaseError, OperationalError

from daemon.commands.status import status
from daemon.console import exit_codes
from daemon.console.exit_codes import Exit
from daemon.reports import space
from storage.errors import PhotomendError
from storage.settings import settings
from storage.text import printable
from storage.urls import without_passwords


def main() -> None:
    """Run the command line; print an expected error as one line, and exit with its code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            _run(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except PhotomendError as error:
        _exit_with(str(error), exit_codes.of(error))
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError):  # subclasses are bugs
            raise
        shortage = space.shortage(settings().state_dir)
        why = f"{error.orig}; {shortage}" if shortage else f"{error.orig}"
        _exit_with(f"the database cannot be used: {why}", Exit.DATABASE)
    except ImportError as error:
        from storage import installation

        _exit_with(
            f"a library cannot be imported ({error}); {installation.advice(error)}", Exit.PROBLEM
        )
    except OSError as error:
        _exit_with(f"{error.filename or 'photomend'}: {error.strerror or error}", Exit.PROBLEM)


def _run(arguments: list[str]) -> None:
    """Run the command that the arguments name.

    `photomend status` without `--config` does not load typer's application, which imports pydantic:
    this saves a third of its time, and scripts call it often.
    """
    if arguments[:1] == ["status"] and {*arguments[1:]} <= {"--check", "--json"}:
        try:
            status(check="--check" in arguments, json="--json" in arguments)
        except typer.Exit as result:
            sys.exit(result.exit_code)
    else:
        from daemon.commands.app import app

        app()


def _exit_with(sentence: str, code: Exit) -> None:
    typer.echo(f"photomend: {printable(without_passwords(sentence))}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
