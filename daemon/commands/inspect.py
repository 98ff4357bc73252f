"""Commands that only read: `jobs`, `show`, `explain` and `doctor`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.exit_codes import Exit
from daemon.console.output import Red, as_json, seconds, section, span, table, when, wrapped
from daemon.reports import words
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Category, Decision, ErrorKind, Review, Status
from storage.settings import settings
from storage.text import counted, printable
from storage.wishes import Wish

SCREEN_LIMIT = 50
"""Maximum number of jobs that are listed as text if no limit is given."""


def jobs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH|GLOB", help="Photos, folders, or globs like '*/IMG_*'."),
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(help="Only jobs with this status; may be given several times."),
    ] = None,
    category: Annotated[Category | None, typer.Option(help="Only jobs of this category.")] = None,
    decision: Annotated[Decision | None, typer.Option(help="Only jobs with this decision.")] = None,
    kind: Annotated[
        ErrorKind | None, typer.Option(help="Only jobs with this kind of error.")
    ] = None,
    gallery: Annotated[str | None, typer.Option(help="Only jobs of this gallery.")] = None,
    oversized: Annotated[
        bool,
        typer.Option("--oversized", help="Only jobs whose result is much larger than its photo."),
    ] = False,
    younger: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only jobs recorded within this time: 90s, 15m, 2h, 7d."),
    ] = None,
    older: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only jobs recorded before this time: 90s, 15m, 2h, 7d."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Maximum number of jobs. Default: {SCREEN_LIMIT}, with --json all."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first.

    Examples: photomend jobs --status failed

    photomend jobs ~/Photos/2024 --decision "kept original" --younger 7d
    """
    common = Filter(
        status=status or (), category=category, decision=decision, kind=kind, gallery=gallery,
        oversized=oversized or None,
        younger_seconds=seconds(younger) if younger else None,
        older_seconds=seconds(older) if older else None,
    )  # fmt: skip
    maximum = limit if limit or json else SCREEN_LIMIT + 1
    found: dict[int, Job] = {}
    for wanted in targets.filters(common, paths or []):
        found |= {job.id: job for job in search.jobs(session.engine(), wanted, maximum)}
    listed = sorted(found.values(), key=lambda job: -job.id)[:maximum]
    if json:
        return as_json([job.to_json() for job in listed])
    table(
        ["id", "state", "found", "photo", "why"],
        [_line(job) for job in (listed if limit else listed[:SCREEN_LIMIT])],
        drop=("why", "found"), cut={"photo": 20, "why": 20},
    )  # fmt: skip
    if not limit and len(listed) > SCREEN_LIMIT:
        typer.echo(f"there are more; --limit {20 * SCREEN_LIMIT} lists up to {20 * SCREEN_LIMIT}")
    return None


def _line(job: Job) -> tuple[object, ...]:
    state = words.short(job)
    shown = Red(state) if job.status is Status.FAILED else state
    return (job.id, shown, words.found(job), job.source, job.error or job.reason)


def show(
    photo: Annotated[str, typer.Argument(metavar="ID|PATH", help="A job, a photo or a result.")],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show the figures: scores and receipt.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a photo: what was found, what was done, its result and its history.

    Examples: photomend show 7

    photomend show ~/Photos/2024/cat.jpg --verbose
    """
    histories = [(job, search.events(session.engine(), job.id)) for job in targets.jobs(photo)]
    if json:
        return as_json(
            [job.to_json() | {"history": [asdict(e) for e in events]} for job, events in histories]
        )
    for number, (job, events) in enumerate(histories):
        if number:
            typer.echo()
        _show(job)
        if verbose:
            section("scores", _facts(job.scores or {}))
            section("receipt", _facts(job.receipt or {}))
        section("history", [f"{when(event.at)}  {printable(event.event)}" for event in events])
    return None


def _show(job: Job) -> None:
    place = targets.full_paths(job)
    section("photo", [f"{printable(place.source)}{', gone' if job.gone_at else ''}"])
    section("found", [found] if (found := words.found(job)) else [])
    done = printable(words.done(job))
    section("done", [Red(done) if job.status is Status.FAILED else done])
    section("result", [printable(place.output)] if place.output else [])
    section("waiting", [_waiting(job)] if job.review is Review.WAITING else [])
    section("job", [f"{job.id} of the gallery {printable(job.gallery)}, {job.status}"])
    section("recorded", [f"{when(job.created_at)}, as {job.fingerprint}"])
    section("decision", [_decision(job)] if job.decision else [])
    section("asked for", [str(wish) or "mend it anyway"] if (wish := Wish.of(job)) else [])
    section("error", [Red(_error(job))] if job.error else [])
    attempts = counted(job.attempts, "attempt")
    section("claims", [f"{job.claims}, {attempts}, {span(job.seconds)} in total"])


def _decision(job: Job) -> str:
    shown = f"{job.decision}: {printable(job.reason)}" if job.reason else str(job.decision)
    way = f"; `photomend mend {job.id}` mends it anyway" if job.decision is Decision.UNSURE else ""
    return shown + way


def _waiting(job: Job) -> str:
    """Return where the result of a job waits, and what to type."""
    from storage import waiting_results

    file = waiting_results.file(settings().state_dir, job)
    if job.decision is not Decision.RESTORED:
        return f"{printable(file)}, for your eyes only"
    where = printable(file) if file else "it is mended again when you keep it"
    return f"{where}; `photomend keep {job.id}` publishes it"


def _error(job: Job) -> str:
    return f"{job.error_kind}: {printable(job.error)}" if job.error_kind else printable(job.error)


def _facts(facts: dict[str, Any]) -> list[str]:
    """Return one line for each fact; a list has one for each of its items."""
    return [
        f"{printable(name)}: {_fact(item)}"
        for name, value in facts.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{printable(name)} {_fact(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else printable(value)


def explain(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file or folder in or outside a gallery.")
    ],
    json: Json = False,
) -> None:
    """Show why a file was or was not mended, and what happens to it next; a folder is summed up.

    Examples: photomend explain ~/Photos/2024/cat.jpg

    photomend explain ~/Photos/2024
    """
    from daemon.reports.explain import explain
    from daemon.reports.explain_folder import explain_folder

    explanation = explain_folder(path) or explain(path)
    if json:
        return as_json(asdict(explanation))
    for line in (*explanation.facts, f"now: {explanation.now}"):
        typer.echo(wrapped(printable(line)))
    return None


def doctor(json: Json = False) -> None:
    """Check everything that photomend needs, and show how to correct problems.

    Example: photomend doctor
    """
    from daemon.reports.doctor import run_checks

    findings = list(run_checks())
    if json:
        as_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(
                f"{'✓' if finding.well else '✗'} {printable(finding.subject)}: {printable(finding.text)}"
            )
    if not all(finding.well for finding in findings):
        raise typer.Exit(Exit.PROBLEM)
