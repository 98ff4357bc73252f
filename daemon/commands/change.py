"""Commands that change jobs: `retry`, `reject`, `cancel` and `forget`."""

import os
from typing import Annotated

import typer

from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.changes import notify, report, report_unchanged
from daemon.console.exit_codes import Exit, Unknown
from daemon.console.output import as_json
from storage import output_folder, publishing
from storage.atomic_files import locked
from storage.beneath import Beneath
from storage.database import galleries, search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import ASKED_FOR, RETRIED, Category, ErrorKind, Status
from storage.settings_gallery import BESIDE
from storage.text import command, printable


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


def reject(
    names: Annotated[
        list[str], typer.Argument(metavar="ID|PATH", help="Jobs, photos or their results.")
    ],
    json: Json = False,
) -> None:
    """Remove results that you do not want; only a retry makes them again.

    A result that was changed after photomend wrote it is not removed.

    Example: photomend reject ~/Photos-mended/2024/cat.jpg
    """
    results = [_result(name) for name in names]
    rejected = [job for job in results if _remove(job) and session.jobs().reject(job)]
    report(rejected, "rejected", json=json)
    if len(rejected) < len(results):
        raise typer.Exit(Exit.PROBLEM)


def _remove(job: Job) -> bool:
    """Remove the result of a job, unless it was changed; return whether it is gone."""
    gallery = targets.gallery(job.gallery)
    root = gallery.output_root
    if gallery.name not in BESIDE and not output_folder.is_marked(root):
        raise Unknown(f"{printable(root)} holds no results; is its disk or share mounted?")
    assert job.output is not None
    result = Beneath(root, job.output)
    if publishing.remove(result, job.sha256):
        return True
    shown = printable(result)
    typer.echo(f"photomend: {shown} was changed, so it is not removed", err=True)
    return False


def _result(name: str) -> Job:
    jobs = targets.jobs(name)
    for job in jobs:
        if job.status is Status.DONE and job.output is not None:
            return job
    raise Unknown(
        f"{printable(name)} has no result to reject: job {jobs[0].id} is {jobs[0].status}; "
        f"see `{command('photomend', 'show', of=name)}`"
    )


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
    typer.echo(f"{printable(name)} is forgotten, with {count} jobs; its photos and results stay")
