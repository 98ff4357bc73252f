"""Commands that change jobs: `retry`, `cancel` and `forget`."""

import os
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.changes import notify, report, report_unchanged
from daemon.console.exit_codes import Unknown
from daemon.console.output import as_json
from storage.atomic_files import locked
from storage.database import galleries, search
from storage.database.search import Filter
from storage.enums import ASKED_FOR, RETRIED, Category, ErrorKind, Status
from storage.text import counted, printable


def retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID|PATH", help="Jobs, photos or folders.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed jobs.")] = False,
    category: Annotated[Category | None, typer.Option(help="All jobs of this category.")] = None,
    kind: Annotated[
        ErrorKind | None,
        typer.Option(help="All jobs that failed with this kind of error, or wait after it."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All jobs that ended, or wait after an error.")
    ] = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="Classify the photos again; forget what you asked for those that you name.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Queue finished jobs again, and retry jobs that wait after an error now.

    Other waiting jobs and running jobs do not change. A job must match all options given, and be
    the newest version of its photo. Jobs of a folder, of a category and of --all come after new
    photos, and other jobs before them. Old photos that were left alone are retried only if you name
    each; `photomend add` takes whole folders.

    Examples: photomend retry 7 ~/Photos/2024

    photomend retry --kind "disk full"
    """
    if not (names or failed or category or kind or everything):
        raise typer.BadParameter(
            "name jobs, photos or folders, or use --failed, --category, --kind or --all"
        )
    wanted = Filter(status=_retry_statuses(failed, kind), category=category, kind=kind)
    asked, others = targets.job_ids(names or [])
    asked = search.newest(session.engine(), asked)
    named, others = _to_retry(
        asked, others, wanted, everywhere=not names, filtered=bool(failed or category or kind)
    )
    table = session.jobs()
    retried = table.retry(named, from_scratch=from_scratch, forget_wish=from_scratch)
    rank = ASKED_FOR if (failed or kind) and not names else RETRIED
    retried += table.retry(others, from_scratch=from_scratch, rank=rank)
    notify(retried)
    report_unchanged(asked, retried)
    if json:
        return as_json([job.to_json() for job in retried])
    due = [job for job in retried if job.error_kind is not None]
    queued = [job for job in retried if job.error_kind is None]
    if due:
        report(due, "due now", json=False)
    if queued or not due:
        report(queued, "queued again", json=False)
    return None


def _to_retry(
    named: list[int], others: list[int], wanted: Filter, *, everywhere: bool, filtered: bool
) -> tuple[list[int], list[int]]:
    """Return the named jobs and the others that are wanted; the latter may be of all galleries."""
    engine = session.engine()
    if everywhere:
        others = search.ids(engine, wanted)
    elif filtered:
        matching = set(search.ids(engine, wanted))
        named, others = ([i for i in ids if i in matching] for ids in (named, others))
    return named, search.retriable(engine, set(others) - set(named))


def _retry_statuses(failed: bool, kind: ErrorKind | None) -> tuple[Status, ...]:
    """Return the statuses of jobs to retry; of the queued ones only those with an error are."""
    if failed:
        return (Status.FAILED,)
    if kind is not None:
        return (Status.FAILED, Status.QUEUED)
    return (Status.DONE, Status.FAILED, Status.CANCELLED, Status.QUEUED)


def cancel(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID|PATH", help="Jobs, photos or folders.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All waiting and running jobs.")
    ] = False,
    json: Json = False,
) -> None:
    """Cancel waiting and running jobs; `photomend retry` queues them again.

    Example: photomend cancel 7 8
    """
    if not (names or everything):
        raise typer.BadParameter("name jobs, photos or folders, or use --all")
    wanted = Filter(status=(Status.QUEUED, Status.RUNNING))
    named, others = targets.job_ids(names) if names else ([], search.ids(session.engine(), wanted))
    cancelled = session.jobs().cancel([*named, *others])
    report_unchanged(named, cancelled)
    report(cancelled, "cancelled", json=json)


def forget(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A gallery; see `photomend status`.")],
) -> None:
    """Remove what is recorded of a gallery that left the settings; photos and results stay.

    Example: photomend forget family
    """
    from storage.settings import settings

    if name in settings().galleries:
        raise typer.BadParameter(f"{name} is in the settings; take it out of them first")
    engine = session.engine()
    with locked(settings().state_dir / "up.lock", wait=False) as lock:
        # The name of a gallery that only `up FOLDER` runs is that folder.
        if lock is None and os.path.isabs(name):  # noqa: PTH117
            raise typer.BadParameter("photomend up is running; stop it first")
        count = galleries.forget(engine, name)
    if count is None:
        raise Unknown(f"there is no gallery {printable(name)}; `photomend status` lists all")
    typer.echo(
        f"{printable(name)} is forgotten, with {counted(count, 'job')}; its photos and results stay"
    )
