"""Commands that stop the start of jobs and let it go on: `pause` and `resume`."""

from typing import Annotated

import typer

from daemon.console import output, session, targets
from daemon.reports.pauses import BEGIN_NOW, OF_MACHINE, line
from storage.database import status
from storage.database.pauses import BATTERY, let_go
from storage.enums import QUEUES
from storage.text import printable

CategoryScope = Annotated[str | None, typer.Option(help="Only this queue, such as motion-blur.")]
GalleryScope = Annotated[str | None, typer.Option(help="Only this gallery.")]


def pause(
    span: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SPAN",
            help="Length of the pause: 90s, 15m, 2h, 7d. Default: until resumed.",
        ),
    ] = None,
    category: CategoryScope = None,
    gallery: GalleryScope = None,
) -> None:
    """Start no further jobs, also after a restart; running jobs are finished.

    Examples: photomend pause --for 2h

    photomend pause --category motion-blur
    """
    scope, name = _scope(category, gallery)
    session.jobs().pause(scope, name, output.seconds(span) if span else None)
    until = f"for {span}" if span else "until `photomend resume`"
    typer.echo(f"{_scoped(scope, name)} is paused {until}")


def resume(
    category: CategoryScope = None,
    gallery: GalleryScope = None,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Also start photos outside of the schedule's hours, on battery."
        ),
    ] = False,
    span: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SPAN",
            help="With --now: for how long. Default: until the hours begin.",
        ),
    ] = None,
) -> None:
    """End a pause, or all pauses if no option is given; that also ends what --now began.

    Examples: photomend resume

    photomend resume --now --for 2h
    """
    scope, name = _scope(category, gallery)
    if now and scope != "all":
        raise typer.BadParameter("--now is for everything; leave out --category and --gallery")
    if span and not now:
        raise typer.BadParameter("--for belongs to --now; a pause has one of its own")
    if session.jobs().resume(scope, name):
        typer.echo(f"{_scoped(scope, name)} is resumed")
    elif not now:
        typer.echo(
            "nothing was paused" if scope == "all" else f"{_scoped(scope, name)} was not paused"
        )
    if now:
        typer.echo(line(let_go(session.engine(), output.seconds(span) if span else None)))
    else:
        _print_of_machine()


def _print_of_machine() -> None:
    """Print what a plain resume does not end: the pauses of this machine."""
    for pause in status.pauses_now(session.engine()):
        if pause.scope in OF_MACHINE:
            more = "" if pause.scope == BATTERY else f"; {BEGIN_NOW} begins at once"
            typer.echo(line(pause) + more)


def _scope(category: str | None, gallery: str | None) -> tuple[str, str]:
    if category and gallery:
        raise typer.BadParameter("use either --category or --gallery")
    if category and category not in QUEUES:
        raise typer.BadParameter(f"there is no queue {category!r}; there are {', '.join(QUEUES)}")
    if gallery and gallery not in (names := [root.gallery for root in targets.roots()]):
        raise typer.BadParameter(f"there is no gallery {gallery!r}; there are {', '.join(names)}")
    if category:
        return "category", category
    return ("gallery", gallery) if gallery else ("all", "")


def _scoped(scope: str, name: str) -> str:
    return "everything" if scope == "all" else f"the {scope} {printable(name)}"
