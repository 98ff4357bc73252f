"""What `photomend status` tells: all from the database, nothing from a gallery."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from daemon.console.output import section, span, when
from storage.database import status as enquiries
from storage.database.status import Summary, Trouble
from storage.database.tables import Gallery, Job, Pause, Worker
from storage.enums import QUEUES, Decision, Status
from storage.settings import settings
from storage.text import printable

SCHEMA = 1
"""Of the JSON object; it grows when a name changes its meaning or goes."""
OVERDUE_SECONDS = 120.0
"""A job that might have been claimed for so long, and was not, tells that nobody claims."""


NOTHING = {
    "schema": SCHEMA,
    "jobs": dict.fromkeys(Status, 0),
    "decisions": dict.fromkeys(Decision, 0),
    "galleries": [],
    "workers": [],
}
"""The JSON object before photomend has ever run."""


def lives(seen: Summary, worker: Worker) -> bool:
    """Return whether a worker beats."""
    return worker.beat_at > seen.now - settings().lost_seconds


def problems(engine: sa.Engine, seen: Summary) -> list[str]:
    """Return what somebody should look after, each a sentence."""
    found = [f"gallery {g.name} is offline: {g.reason}" for g in seen.galleries if not g.online]
    found += [
        f"the worker of {worker.queues} on {worker.host} (process {worker.process}) has not "
        f"beaten for {span(seen.now - worker.beat_at)}"
        for worker in seen.workers
        if not lives(seen, worker)
    ]
    served = {q for worker in seen.workers if lives(seen, worker) for q in worker.queues.split(",")}
    found += [
        f"no worker serves {queue}; start one: photomend work {queue}"
        for queue in QUEUES
        if queue not in served
    ]
    last = enquiries.last_claim(engine, OVERDUE_SECONDS)
    claims = bool(seen.running) or (last is not None and last > seen.now - OVERDUE_SECONDS)
    found += [
        f"due jobs of {queue} have waited for more than {span(OVERDUE_SECONDS)} and nobody "
        "claims them; `photomend doctor` looks for the cause"
        for queue in enquiries.overdue(engine, OVERDUE_SECONDS)
        if not claims or queue not in served
    ]
    return found


def to_json(seen: Summary) -> dict[str, Any]:
    """Return the overview as scripts take it."""
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
    """Print the overview."""
    counts = seen.counts
    section("jobs", [", ".join(f"{count:,} {status}" for status, count in counts.jobs.items())])
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
    for status in (Status.FAILED, Status.QUEUED):
        title = "failed" if status is Status.FAILED else "held up"
        section(title, [_trouble(seen, t) for t in seen.counts.troubles if t.status is status])
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
    if gallery.walked_at is None:
        return f"{where}, watched by {printable(gallery.watching)}; its first walk has not ended"
    took = span(gallery.walk_seconds or 0.0)
    return (
        f"{where}, watched by {printable(gallery.watching)}; {gallery.photos or 0:,} photos, "
        f"walked {span(seen.now - gallery.walked_at)} ago in {took}"
    )


def _worker(seen: Summary, worker: Worker) -> str:
    line = f"{worker.queues} on {worker.host}, {worker.device}, process {worker.process}"
    beat = span(seen.now - worker.beat_at)
    return (
        f"{line}, up for {span(seen.now - worker.started_at)}"
        if lives(seen, worker)
        else (f"{line} is MISSING: it has not beaten for {beat}")
    )


def _trouble(seen: Summary, trouble: Trouble) -> str:
    latest = seen.examples[trouble.latest]
    return f"{trouble.count:,} {trouble.kind}; job {latest.id}: {printable(latest.error)}"


def _pause(pause: Pause) -> str:
    what = "everything" if pause.scope == "all" else f"{pause.scope} {pause.name}"
    return f"{what}, until {when(pause.until) or '`photomend resume`'}"
