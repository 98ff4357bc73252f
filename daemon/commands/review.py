"""Commands for the owner's word on results: `keep`, `reject`, `restore` and `undo`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from daemon import actions
from daemon.actions import Outcome
from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.changes import notify, report
from daemon.console.exit_codes import Exit, Unknown
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Category, Decision, Review, Status
from storage.text import command, printable

Results = Annotated[
    list[str], typer.Argument(metavar="ID|PATH", help="Jobs, photos, their results, or folders.")
]


def keep(names: Results, json: Json = False) -> None:
    """Record that you want to keep these results; those that wait for that are published.

    Example: photomend keep ~/Photos/2024
    """
    _report(actions.keep(_with_results(names)), "kept", json=json)


def reject(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|PATH", help="Jobs, photos, their results, or folders."),
    ] = None,
    category: Annotated[
        Category | None, typer.Option(help="Only results of this category.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%d %H:%M"], help="Only results made on this day or later."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All results.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
    json: Json = False,
) -> None:
    """Remove results that you do not want; only a retry makes them again.

    They stay in a trash for `trash_days` (30), and `photomend restore` brings them back. A result
    that was changed after photomend wrote it is not removed. A result must match all options given.

    Examples: photomend reject ~/Photos-mended/2024/cat.jpg

    photomend reject --category reflection --since 2026-05-01 --dry-run
    """
    if not (names or category or since or everything):
        raise typer.BadParameter(
            "name jobs, photos or folders, or use --category, --since or --all"
        )
    wanted = [
        job
        for job in (_with_results(names) if names else _all_with_results(Filter(category=category)))
        if category in (None, job.category)
        and (since is None or (job.finished_at or 0.0) >= since.timestamp())
    ]
    if dry_run:
        return report(wanted, "to be rejected", json=json)
    return _report(actions.reject(wanted), "rejected", json=json)


def restore(names: Results, json: Json = False) -> None:
    """Bring rejected results back from the trash, and those that went with their photos.

    What has the name of a result by now stays, and the result stays in the trash.

    Example: photomend restore ~/Photos/2024/cat.jpg
    """
    rejected = _reviewed(names, {Review.REJECTED, Review.DELETED})
    _report(actions.restore(rejected), "restored", json=json)


def undo(names: Results, json: Json = False) -> None:
    """Take back `photomend keep` and `photomend reject`; what was rejected is restored.

    With publish = "after review", what was kept waits again, and leaves the output folder.

    Example: photomend undo 7
    """
    said = _reviewed(names, {Review.KEPT, Review.REJECTED})
    _report(actions.undo(said), "undone", json=json)


def _with_results(names: list[str]) -> list[Job]:
    """Return the jobs that have a result: of each photo that is named, and of folders all."""
    found: dict[int, Job] = {}
    for name in names:
        below = targets.folder(name)
        jobs = [_result(name)] if below is None else _all_with_results(below)
        found |= {job.id: job for job in jobs}
    return list(found.values())


def _all_with_results(wanted: Filter) -> list[Job]:
    wanted = replace(wanted, status=(Status.DONE,), decision=Decision.RESTORED)
    return [job for job in search.jobs(session.engine(), wanted) if job.has_result]


def _result(name: str) -> Job:
    jobs = targets.jobs(name)
    for job in jobs:
        if job.has_result:
            return job
    if jobs[0].review is Review.REJECTED:
        back = command("photomend", "restore", of=name)
        raise Unknown(
            f"you rejected the result of {printable(name)}; `{back}` brings it back while it is in the trash"
        )
    raise Unknown(
        f"{printable(name)} has no result: job {jobs[0].id} is {jobs[0].status}; "
        f"see `{command('photomend', 'show', of=name)}`"
    )


def _reviewed(names: list[str], reviews: set[Review]) -> list[Job]:
    """Return the newest job of each photo that is named, and of folders those with such a review."""
    found: dict[int, Job] = {}
    for name in names:
        below = targets.folder(name)
        if below is None:
            jobs = targets.jobs(name)[:1]
        else:
            jobs = [job for job in search.jobs(session.engine(), below) if job.review in reviews]
        found |= {job.id: job for job in jobs}
    return list(found.values())


def _report(outcomes: list[Outcome], done: str, *, json: bool) -> None:
    """Print what changed, and why the others did not; that is a problem."""
    changed = [job for job, reason in outcomes if reason is None and job is not None]
    notify(changed)
    for _, reason in outcomes:
        if reason is not None:
            typer.echo(f"photomend: {reason}", err=True)
    report(changed, done, json=json)
    if len(changed) < len(outcomes):
        raise typer.Exit(Exit.PROBLEM)
