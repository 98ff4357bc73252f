"""Commands that only read; each takes --json for scripts."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands.status import Json
from daemon.console import session, targets
from daemon.console.exit_codes import Exit
from daemon.console.output import as_json, seconds, section, span, table, when
from storage.database import search
from storage.database.records import Job
from storage.database.search import Filter
from storage.enums import Category, Decision, ErrorKind, Status
from storage.text import printable

SHOWN = 50
"""So many jobs are listed on a screen if no limit is given."""


def jobs(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH|GLOB", help="Photos, folders, or globs like '*/IMG_*'."),
    ] = None,
    status: Annotated[list[Status] | None, typer.Option(help="May be given several times.")] = None,
    category: Annotated[Category | None, typer.Option()] = None,
    decision: Annotated[Decision | None, typer.Option()] = None,
    kind: Annotated[
        ErrorKind | None, typer.Option(help="Of the error, or what it waits for.")
    ] = None,
    gallery: Annotated[str | None, typer.Option(help="Its name in the settings.")] = None,
    younger: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Recorded within: 90s, 15m, 2h, 7d.")
    ] = None,
    older: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Recorded longer ago than that.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"So many; {SHOWN} on a screen, all as JSON.")
    ] = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first.

    Examples: photomend jobs --status failed

    photomend jobs ~/Photos/2024 --decision "kept original" --younger 7d
    """
    common = Filter(
        status=status or (), category=category, decision=decision, kind=kind, gallery=gallery,
        younger_seconds=seconds(younger) if younger else None,
        older_seconds=seconds(older) if older else None,
    )  # fmt: skip
    most = limit if limit or json else SHOWN + 1
    found: dict[int, Job] = {}
    for wanted in targets.filters(common, paths or []):
        found |= {job.id: job for job in search.jobs(session.engine(), wanted, most)}
    listed = sorted(found.values(), key=lambda job: -job.id)[:most]
    if json:
        return as_json([job.to_json() for job in listed])
    table(
        ["id", "status", "category", "decision", "photo", ""],
        [_line(job) for job in (listed if limit else listed[:SHOWN])],
    )
    if not limit and len(listed) > SHOWN:
        typer.echo(f"… and more; --limit {20 * SHOWN} shows them")
    return None


def _line(job: Job) -> tuple[object, ...]:
    return (job.id, job.status, job.category, job.decision, job.source, job.error or job.reason)


def show(
    photo: Annotated[str, typer.Argument(metavar="ID|PATH", help="A job, a photo or its result.")],
    json: Json = False,
) -> None:
    """Tell the story of a photo: its history, scores and what was done.

    Examples: photomend show 7

    photomend show ~/Photos/2024/cat.jpg
    """
    found = targets.jobs(photo)
    stories = [(job, search.events(session.engine(), job.id)) for job in found]
    if json:
        return as_json(
            [job.to_json() | {"history": [asdict(e) for e in events]} for job, events in stories]
        )
    for number, (job, events) in enumerate(stories):
        if number:
            typer.echo()
        _show(job)
        section("history", [f"{when(event.at)}  {printable(event.event)}" for event in events])
    return None


def _show(job: Job) -> None:
    section("job", [f"{job.id}, {job.status}"])
    section("photo", [f"{printable(job.source)} in {job.gallery}{', gone' if job.gone_at else ''}"])
    section("recorded", [f"{when(job.created_at)}, as {job.fingerprint}"])
    section("category", [job.category.value] if job.category else [])
    section("decision", [_decision(job)] if job.decision else [])
    section("result", [printable(job.output)] if job.output else [])
    section("error", [_error(job)] if job.error else [])
    section("claims", [f"{job.claims}, {job.attempts} attempts, {span(job.seconds)} together"])
    section("scores", _facts(job.scores or {}))
    section("receipt", _facts(job.receipt or {}))


def _decision(job: Job) -> str:
    return f"{job.decision}: {printable(job.reason)}" if job.reason else str(job.decision)


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
    path: Annotated[Path, typer.Argument(help="A photo, or what should be one.")],
    json: Json = False,
) -> None:
    """Say why a file was or was not mended, by which rule, and what would happen now.

    Example: photomend explain ~/Photos/2024/cat.jpg
    """
    from daemon.reports.explain import explain

    story = explain(path)
    if json:
        return as_json(asdict(story))
    for line in story.facts:
        typer.echo(printable(line))
    typer.echo(f"now: {printable(story.now)}")
    return None


def doctor(json: Json = False) -> None:
    """Look whether everything that photomend needs is there, and say what to do.

    Example: photomend doctor
    """
    from daemon.reports.doctor import examine

    findings = list(examine())
    if json:
        as_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(
                f"{'✓' if finding.well else '✗'} {printable(finding.subject)}: {printable(finding.text)}"
            )
    if not all(finding.well for finding in findings):
        raise typer.Exit(Exit.PROBLEM)
