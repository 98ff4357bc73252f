"""Commands that stop the start of jobs and let it go on: `pause` and `resume`."""

from typing import Annotated

import typer

from daemon.console import output, session, targets
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


def resume(category: CategoryScope = None, gallery: GalleryScope = None) -> None:
    """End a pause, or all pauses if no option is given.

    Example: photomend resume
    """
    scope, name = _scope(category, gallery)
    if session.jobs().resume(scope, name):
        typer.echo(f"{_scoped(scope, name)} is resumed")
    else:
        typer.echo(
            "nothing was paused" if scope == "all" else f"{_scoped(scope, name)} was not paused"
        )


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
