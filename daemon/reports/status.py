"""What `photomend status` shows, and what it calls a problem; all of it is from the database."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from daemon.console.output import section, span, when
from storage.database import status
from storage.database.records import Gallery, Job, Pause, Worker
from storage.database.status import Summary, Trouble
from storage.enums import QUEUES, Decision, Status
from storage.settings import settings
from storage.text import printable

SCHEMA = 1
"""Version of the JSON object; it increases when a name changes its meaning or is removed."""
OVERDUE_SECONDS = 120.0
"""Seconds after which a job that could have been claimed counts as a problem."""

NOTHING = {
    "schema": SCHEMA,
    "jobs": dict.fromkeys(Status, 0),
    "decisions": dict.fromkeys(Decision, 0),
    "galleries": [],
    "workers": [],
}
"""The JSON object before photomend has run for the first time."""


def lives(seen: Summary, worker: Worker) -> bool:
    """Return whether the worker's last heartbeat is recent enough."""
    return worker.heartbeat_at > seen.now - settings().worker_timeout_seconds


def problems(engine: sa.Engine, seen: Summary) -> list[str]:
    """Return the problems that somebody should solve, each a sentence."""
    found = [f"gallery {g.name} is offline: {g.reason}" for g in seen.galleries if not g.online]
    found += [
        f"the worker of {worker.queues} on {worker.host} (process {worker.process}) has "
        f"sent no heartbeat for {span(seen.now - worker.heartbeat_at)}"
        for worker in seen.workers
        if not lives(seen, worker)
    ]
    served = {q for worker in seen.workers if lives(seen, worker) for q in worker.queues.split(",")}
    found += [
        f"no worker serves {queue}; start one: photomend work {queue}"
        for queue in QUEUES
        if queue not in served
    ]
    last = status.last_claim(engine, OVERDUE_SECONDS)
    claims = bool(seen.running) or (last is not None and last > seen.now - OVERDUE_SECONDS)
    found += [
        f"due jobs of {queue} have waited for more than {span(OVERDUE_SECONDS)} and nobody "
        "claims them; `photomend doctor` looks for the cause"
        for queue in status.overdue(engine, OVERDUE_SECONDS)
        if not claims or queue not in served
    ]
    return found


def to_json(seen: Summary) -> dict[str, Any]:
    """Return the JSON object for scripts."""
    oldest = seen.examples.get(seen.counts.oldest_waiting or 0)
    return {
        "schema": SCHEMA,
        "now": seen.now,
        "jobs": seen.counts.jobs,
        "decisions": seen.counts.decisions,
        "pace": {
            "finished": seen.pace.finished, "seconds": seen.pace.seconds,
            "per_hour": seen.pace.per_hour, "left": seen.left, "left_seconds": seen.left_seconds,
        },
        "running": [job.to_json() for job in seen.running],
        "oldest_waiting": None if oldest is None else oldest.to_json(),
        "troubles": [
            {"status": t.status, "kind": t.kind, "count": t.count, "latest": seen.examples[t.latest].to_json()}
            for t in seen.counts.troubles
        ],
        "galleries": [
            asdict(g) | {"jobs": seen.counts.galleries.get(g.name, dict.fromkeys(Status, 0))}
            for g in seen.galleries
        ],
        "workers": [
            asdict(w) | {"queues": w.queues.split(","), "alive": lives(seen, w)}
            for w in seen.workers
        ],
        "pauses": [asdict(pause) for pause in seen.pauses],
    }  # fmt: skip


def show(seen: Summary) -> None:
    """Print the state for people."""
    counts = seen.counts
    section("jobs", [", ".join(f"{count:,} {word}" for word, count in counts.jobs.items())])
    made = [f"{count:,} {decision}" for decision, count in counts.decisions.items() if count]
    section("decisions", [", ".join(made)] if made else [])
    section("pace", [_pace(seen)] if seen.left or seen.pace.finished else [])
    section("running", [_running(seen, job) for job in seen.running])
    oldest = seen.examples.get(seen.counts.oldest_waiting or 0)
    if oldest is not None:
        age = span(seen.now - oldest.created_at)
        section("waits", [f"longest: job {oldest.id}, {printable(oldest.source)}, for {age}"])
    section("galleries", [_gallery(seen, gallery) for gallery in seen.galleries])
    section("workers", [_worker(seen, w) for w in seen.workers] or ["none"])
    for kind, title in ((Status.FAILED, "failed"), (Status.QUEUED, "held up")):
        section(title, [_trouble(seen, t) for t in seen.counts.troubles if t.status is kind])
    section("paused", [_pause(pause) for pause in seen.pauses])


def _pace(seen: Summary) -> str:
    line = f"{seen.pace.per_hour:,.0f} an hour; {seen.left:,} left"
    return line if not seen.left_seconds else f"{line}, about {span(seen.left_seconds)}"


def _running(seen: Summary, job: Job) -> str:
    since = span(seen.now - (job.claimed_at or seen.now))
    return f"job {job.id}, {job.category or 'classify'}, for {since}: {printable(job.source)}"


def _gallery(seen: Summary, gallery: Gallery) -> str:
    where = f"{gallery.name}: {printable(gallery.root)} ({gallery.filesystem})"
    if not gallery.online:
        return f"{where} is OFFLINE: {printable(gallery.reason)}"
    if gallery.scanned_at is None:
        return f"{where}, watched by {printable(gallery.watching)}; its first scan has not ended"
    took = span(gallery.scan_seconds or 0.0)
    return (
        f"{where}, watched by {printable(gallery.watching)}; {gallery.photos or 0:,} photos, "
        f"scanned {span(seen.now - gallery.scanned_at)} ago in {took}"
    )


def _worker(seen: Summary, worker: Worker) -> str:
    line = f"{worker.queues} on {worker.host}, {worker.device}, process {worker.process}"
    if lives(seen, worker):
        return f"{line}, up for {span(seen.now - worker.started_at)}"
    return f"{line} is MISSING: no heartbeat for {span(seen.now - worker.heartbeat_at)}"


def _trouble(seen: Summary, trouble: Trouble) -> str:
    latest = seen.examples[trouble.latest]
    return f"{trouble.count:,} {trouble.kind}; job {latest.id}: {printable(latest.error)}"


def _pause(pause: Pause) -> str:
    what = "everything" if pause.scope == "all" else f"{pause.scope} {pause.name}"
    return f"{what}, until {when(pause.until) or '`photomend resume`'}"
