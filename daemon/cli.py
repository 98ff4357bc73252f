"""The `photomend` command; what is heavy is imported only by the command that needs it."""

import os
import signal
import sys
from io import TextIOWrapper

import typer
from sqlalchemy.exc import DatabaseError, OperationalError

from daemon.commands.status import status
from daemon.console import exit_codes
from daemon.console.exit_codes import Exit
from storage.errors import PhotomendError
from storage.text import printable


def main() -> None:
    """Run the command line; what a user can mend is one line and an exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            _run(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except PhotomendError as error:
        _end(str(error), exit_codes.of(error))
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError):  # those below are mistakes of ours
            raise
        _end(f"the database cannot be used: {error.orig}", Exit.DATABASE)
    except ImportError as error:
        from storage import installation

        _end(f"a library cannot be used ({error}); {installation.advice(error)}", Exit.PROBLEM)
    except OSError as error:
        _end(f"{error.filename or 'photomend'}: {error.strerror or error}", Exit.PROBLEM)


def _run(words: list[str]) -> None:
    """Do what the words say.

    `photomend status` is asked again and again, and typer alone would take a third of its time: it
    imports pydantic to check that `--config` was not given.
    """
    if words[:1] == ["status"] and {*words[1:]} <= {"--check", "--json"}:
        try:
            status(check="--check" in words, json="--json" in words)
        except typer.Exit as end:
            sys.exit(end.exit_code)
    else:
        from daemon.commands.app import app

        app()


def _end(sentence: str, code: Exit) -> None:
    typer.echo(f"photomend: {printable(sentence)}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
