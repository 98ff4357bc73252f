"""After a command has changed jobs: notify workers, write the owner's word, print what changed."""

import logging
from collections.abc import Iterable
from threading import Thread

import typer

from daemon import owners_word
from daemon.console import session
from daemon.console.output import as_json
from storage.database import search
from storage.database.records import Job
from storage.enums import Status
from storage.text import printable

NOTIFY_SECONDS = 3.0
"""Longest wait for Redis; after that, maintenance sends the notifications."""


def notify(jobs: Iterable[Job]) -> None:
    """Write what the owner said of jobs that were changed, and notify workers of those that are queued.

    Wait at most NOTIFY_SECONDS for Redis.
    """
    jobs = list(jobs)
    owners_word.note(jobs)
    send([(job.queue, job.id) for job in jobs if job.status is Status.QUEUED])


def send(notifications: list[tuple[str, int]]) -> None:
    """Send notifications, each to a queue and of a job; wait at most NOTIFY_SECONDS for Redis."""
    if notifications:
        sender = Thread(target=_send, args=(notifications,), daemon=True)
        sender.start()
        sender.join(NOTIFY_SECONDS)


def _send(notifications: list[tuple[str, int]]) -> None:
    from storage.settings import settings
    from tasks.worker import notify

    logging.getLogger("tasks.worker.notify").setLevel(logging.ERROR)
    for queue, job_id in notifications[: settings().max_pending_notifications]:
        if not notify.send(queue, job_id):
            return


def report_unchanged(named: list[int], changed: list[Job]) -> None:
    """Print the status of each named job that was not changed, which is why it was not."""
    ids = {job.id for job in changed}
    for job_id in named:
        if job_id not in ids and (job := search.get(session.engine(), job_id)):
            why = f"job {job.id} is {job.status}, so it stays as it is: {printable(job.source)}"
            typer.echo(f"photomend: {why}", err=True)


def report(jobs: list[Job], done: str, *, json: bool) -> None:
    """Print the jobs that were changed, and how many they are."""
    if json:
        return as_json([job.to_json() for job in jobs])
    for job in jobs[:20]:
        typer.echo(f"job {job.id} is {done}: {printable(job.source)}")
    if len(jobs) != 1:
        typer.echo(f"{len(jobs)} jobs are {done}")
    return None
