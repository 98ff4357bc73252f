"""Commands by which the owner changes what becomes of a photo."""

import logging
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console import output, session, targets
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.output import as_json
from storage import publishing
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Category, ErrorKind, Status
from storage.settings_gallery import BESIDE
from storage.text import printable

NOTIFY_SECONDS = 3.0
"""Seconds to wait for Redis; after that, maintenance sends the notifications."""


def retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID|PATH", help="Jobs, photos or folders.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
    category: Annotated[Category | None, typer.Option(help="All jobs of this category.")] = None,
    kind: Annotated[
        ErrorKind | None, typer.Option(help="All that failed with this error, or wait after it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs.")] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Classify again, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Queue again what has ended, and try at once what waits after an error.

    What waits for its turn or runs stays as it is. Options narrow each other: --failed --category motion-blur takes what is both.

    Examples: photomend retry 7 ~/Photos/2024

    photomend retry --kind "disk full"
    """
    if not (names or failed or category or kind or everything):
        raise typer.BadParameter(
            "name jobs or photos, or say --failed, --category, --kind or --all"
        )
    wanted = Filter(status=_retried(failed, kind), category=category, kind=kind)
    if not names or failed or category or kind:
        among = set(search.ids(session.engine(), wanted))
        ids = [i for i in targets.all_of(names) if i in among] if names else sorted(among)
    else:
        ids = targets.all_of(names)
    again = session.jobs().retry(ids, from_scratch=from_scratch)
    _notify(again)
    if json:
        return as_json([job.to_json() for job in again])
    due = [job for job in again if job.error_kind is not None]
    queued = [job for job in again if job.error_kind is None]
    if due:
        _report(due, "due now", json=False)
    if queued or not due:
        _report(queued, "queued again", json=False)
    return None


def _retried(failed: bool, kind: ErrorKind | None) -> tuple[Status, ...]:
    """Return the statuses of jobs that a retry takes; of those queued, only what saw an error."""
    if failed:
        return (Status.FAILED,)
    if kind is not None:
        return (Status.FAILED, Status.QUEUED)
    return (Status.DONE, Status.FAILED, Status.CANCELLED, Status.QUEUED)


def reject(
    names: Annotated[
        list[str], typer.Argument(metavar="ID|PATH", help="Jobs, photos or their results.")
    ],
    json: Json = False,
) -> None:
    """Remove results you do not like; they are never made again unless you ask.

    A result that was changed since it was made stays where it is.

    Example: photomend reject ~/Photos-mended/2024/cat.jpg
    """
    results = [_result(name) for name in names]
    for job in results:
        _remove(job)
        session.jobs().reject(job)
    _report(results, "rejected", json=json)


def _remove(job: Job) -> None:
    """Remove the result of a job, if nobody changed it."""
    gallery = targets.gallery(job.gallery)
    root = gallery.output_root
    if gallery.name not in BESIDE and not (root / publishing.MARKER).exists():
        raise Unknown(f"{printable(root)} holds no results now; is its disk or share mounted?")
    assert job.output is not None
    if not publishing.remove(root / job.output, job.sha256):
        typer.echo(
            f"{printable(root / job.output)} was changed since it was made: it stays", err=True
        )


def _result(name: str) -> Job:
    for job in targets.jobs(name):
        if job.status is Status.DONE and job.output is not None:
            return job
    raise Unknown(
        f"{printable(name)} has no result to reject; see `photomend show {printable(name)}`"
    )


def cancel(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID|PATH", help="Jobs, photos or folders.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait or run.")] = False,
    json: Json = False,
) -> None:
    """Take back jobs that wait or run; `photomend retry` queues them again.

    Example: photomend cancel 7 8
    """
    if not (names or everything):
        raise typer.BadParameter("name jobs or photos, or say --all")
    wanted = Filter(status=(Status.QUEUED, Status.RUNNING))
    ids = targets.all_of(names) if names else search.ids(session.engine(), wanted)
    _report(session.jobs().cancel(ids), "cancelled", json=json)


CategoryScope = Annotated[str | None, typer.Option(help="Only this queue, such as motion-blur.")]
GalleryScope = Annotated[str | None, typer.Option(help="Only this gallery.")]


def pause(
    span: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="For so long: 90s, 15m, 2h, 7d.")
    ] = None,
    category: CategoryScope = None,
    gallery: GalleryScope = None,
) -> None:
    """Begin no further photo, across restarts, too; the photo in hand is finished.

    Examples: photomend pause --for 2h

    photomend pause --category motion-blur
    """
    scope, name = _scope(category, gallery)
    session.jobs().pause(scope, name, output.seconds(span) if span else None)
    until = f"for {span}" if span else "until `photomend resume`"
    typer.echo(f"{_scoped(scope, name)} is paused {until}")


def resume(category: CategoryScope = None, gallery: GalleryScope = None) -> None:
    """End a pause; all pauses, if none is named.

    Example: photomend resume
    """
    scope, name = _scope(category, gallery)
    what = "is" if session.jobs().resume(scope, name) else "was not paused and is"
    typer.echo(f"{_scoped(scope, name)} {what} in work")


def _scope(category: str | None, gallery: str | None) -> tuple[str, str]:
    from storage.enums import QUEUES

    if category and gallery:
        raise typer.BadParameter("a pause has one scope: --category or --gallery")
    if category and category not in QUEUES:
        raise typer.BadParameter(f"there is no queue {category!r}; there are {', '.join(QUEUES)}")
    if gallery and gallery not in (known := [root.gallery for root in targets.roots()]):
        raise typer.BadParameter(f"there is no gallery {gallery!r}; there are {', '.join(known)}")
    if category:
        return "category", category
    return ("gallery", gallery) if gallery else ("all", "")


def _scoped(scope: str, name: str) -> str:
    return "everything" if scope == "all" else f"the {scope} {printable(name)}"


def add(
    paths: Annotated[list[Path], typer.Argument(help="Photos or folders in a gallery.")],
    json: Json = False,
) -> None:
    """Mend these photos before all others, also those from before photomend's time.

    Example: photomend add ~/Photos/2019/wedding
    """
    from daemon.console.selection import photos_in

    table, added = session.jobs(), []
    for place, fingerprint in photos_in(paths):
        name = Path(place.source.name)
        added.append(table.ask(place.gallery, place.source.parent, name, fingerprint))
    if not added:
        typer.echo("there is no photo to add; `photomend explain PATH` says why", err=True)
        raise typer.Exit(Exit.PROBLEM)
    _notify(added)
    _report(added, "asked for", json=json)


def _notify(jobs: Iterable[Job]) -> None:
    """Notify workers of queued jobs, if Redis answers soon; if not, maintenance does it."""
    queued = [job for job in jobs if job.status is Status.QUEUED]
    if queued:
        sender = Thread(target=_notify_all, args=(queued,), daemon=True)
        sender.start()
        sender.join(NOTIFY_SECONDS)


def _notify_all(jobs: list[Job]) -> None:
    from storage.settings import settings
    from tasks.worker import notify

    logging.getLogger("tasks.worker.notify").setLevel(logging.ERROR)
    for job in jobs[: settings().max_pending_notifications]:
        if not notify.send(job.queue, job.id):
            return


def _report(jobs: list[Job], done: str, *, json: bool) -> None:
    if json:
        return as_json([job.to_json() for job in jobs])
    for job in jobs[:20]:
        typer.echo(f"job {job.id} is {done}: {printable(job.source)}")
    if len(jobs) != 1:
        typer.echo(f"{len(jobs)} jobs are {done}")
    return None
