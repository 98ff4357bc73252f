"""Print the state that the database holds, for `photomend status`."""

import os
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from daemon.console.output import Red, section, span, when
from daemon.reports import followups, pauses
from daemon.reports.health import is_alive, waits
from storage.database import conditions, galleries, heartbeats, holds, status
from storage.database.deleted import MASS_DELAY_SECONDS, Many
from storage.database.records import Gallery, Job, Process, Worker
from storage.database.status import Summary, Trouble
from storage.database.time_left import TimeLeft, estimate
from storage.enums import Decision, Status
from storage.settings import settings
from storage.text import counted, printable

SCHEMA = 2
"""Version of the JSON object; it increases when a name changes its meaning or is removed."""
INTERNAL = ("settings", "rules")
"""Columns of a gallery that are not for scripts."""

NOTHING = {
    "schema": SCHEMA,
    "jobs": dict.fromkeys(Status, 0),
    "decisions": dict.fromkeys(Decision, 0),
    "oversized": 0,
    "to_review": 0,
    "galleries": [],
    "workers": [],
}
"""The JSON object before photomend has run for the first time."""


def has_left(engine: sa.Engine, gallery: Gallery) -> bool:
    """Return whether a gallery of this machine is in its settings no more.

    One that `photomend up FOLDER` began never was in them; it has left once it is not watched.
    """
    if gallery.name in settings().galleries or not galleries.is_here(engine, gallery):
        return False
    return gallery.reason == galleries.LEFT or not os.path.isabs(gallery.name)  # noqa: PTH117


def time_left(engine: sa.Engine) -> TimeLeft:
    """Return the time that all that waits needs, except in galleries that have left."""
    return estimate(engine, gone(engine))


def gone(engine: sa.Engine) -> list[str]:
    """Return the names of the galleries that have left: no job of these is claimed."""
    return [each.name for each in status.galleries_known(engine) if has_left(engine, each)]


def to_json(state: Summary, left: TimeLeft) -> dict[str, Any]:
    """Return the JSON object for scripts."""
    oldest = state.examples.get(state.counts.oldest_waiting or 0)
    return {
        "schema": SCHEMA,
        "now": state.now,
        "jobs": state.counts.jobs,
        "decisions": state.counts.decisions,
        "oversized": state.counts.oversized,
        "to_review": state.counts.to_review,
        "pace": {
            "finished": state.pace.finished, "seconds": state.pace.seconds,
            "per_hour": state.pace.per_hour, "left": state.left, "left_seconds": left.seconds,
        },
        "running": [job.to_json() for job in state.running],
        "oldest_waiting": None if oldest is None else oldest.to_json(),
        "troubles": [
            {"status": t.status, "kind": t.kind, "count": t.count, "latest": state.examples[t.latest].to_json()}
            for t in state.counts.troubles
        ],
        "galleries": [
            {name: value for name, value in asdict(g).items() if name not in INTERNAL}
            | {"jobs": state.counts.galleries.get(g.name, dict.fromkeys(Status, 0))}
            for g in state.galleries
        ],
        "workers": [
            asdict(w) | {"queues": w.queues.split(","), "alive": is_alive(state, w)}
            for w in state.workers
        ],
        "processes": [asdict(p) | {"alive": is_alive(state, p)} for p in state.processes],
        "pauses": [asdict(pause) for pause in state.pauses],
        "vanished": [asdict(many) for many in state.vanished],
        "followups": [asdict(waiting) for waiting in state.followups],
    }  # fmt: skip


def show(state: Summary, left: TimeLeft) -> None:
    """Print the state as text."""
    counts = state.counts
    section("jobs", [", ".join(f"{count:,} {word}" for word, count in counts.jobs.items())])
    decided = [f"{count:,} {decision}" for decision, count in counts.decisions.items() if count]
    section("decisions", [", ".join(decided)] if decided else [])
    section("to review", [_to_review(counts.to_review)] if counts.to_review else [])
    section("oversized", [_oversized(counts.oversized)] if counts.oversized else [])
    section("pace", [_pace(state, left)] if state.left or state.pace.finished else [])
    section("running", [_running(state, job) for job in state.running])
    oldest = state.examples.get(state.counts.oldest_waiting or 0)
    if oldest is not None:
        age = span(state.now - oldest.created_at)
        section("oldest", [f"job {oldest.id}, {printable(oldest.source)}, waits for {age}"])
    section("galleries", [_gallery(state, gallery) for gallery in state.galleries])
    section("workers", [_worker(state, w) for w in state.workers] or ["none"])
    section("processes", [_process(state, process) for process in state.processes])
    for kind, title in ((Status.FAILED, "failed"), (Status.QUEUED, "retrying")):
        section(title, [_trouble(state, t) for t in state.counts.troubles if t.status is kind])
    section("apps", [followups.line(waiting) for waiting in state.followups])
    section("deleted", [_many(many) for many in state.vanished])
    section("paused", map(pauses.line, state.pauses))


def _many(many: Many) -> str:
    after = span(MASS_DELAY_SECONDS)
    return Red(
        f"{many.count:,} photos of {printable(many.gallery)} with a copy are gone, the first since "
        f"{when(many.since)}; the copies of so many go to the trash only {after} later. Is a disk or share away?"
    )


def _to_review(count: int) -> str:
    results = f"{counted(count, 'result')} {'waits' if count == 1 else 'wait'}"
    return f"{results} until you keep or reject them; look at them in the page (`photomend web`)"


def _oversized(count: int) -> str:
    copies = "1 copy is" if count == 1 else f"{count:,} copies are"
    return f"{copies} more than 1.3 times as large as the source; photomend jobs --oversized"


def _pace(state: Summary, left: TimeLeft) -> str:
    line = f"{state.pace.per_hour:,.0f} jobs per hour; {state.left:,} left"
    return line if not left.seconds else f"{line}, about {span(left.seconds)}"


def _running(state: Summary, job: Job) -> str:
    from daemon.reports import words  # takes a while: only if something runs

    since = span(state.now - (job.claimed_at or state.now))
    what = (
        f"job {job.id}, {words.found(job) or 'being examined'}, for {since}{_progress(state, job)}"
    )
    return f"{what}: {printable(job.source)}"


def _progress(state: Summary, job: Job) -> str:
    """Return how many tiles are done and the time that the others need; nothing before the first."""
    if job.tiles is None or job.tiles_done is None or job.progress_at is None:
        return ""
    needed = (job.tiles - job.tiles_done) * (job.tile_seconds or 0.0)
    left = span(max(0.0, needed - (state.now - job.progress_at)))
    return f", {job.tiles_done:,} of {job.tiles:,} tiles, about {left} left"


def _gallery(state: Summary, gallery: Gallery) -> str:
    where = f"{gallery.name}: {printable(gallery.root)} ({gallery.filesystem})"
    if not gallery.online:
        return Red(f"{where} is OFFLINE: {printable(gallery.reason)}")
    if waits(state, gallery):
        tried = span(conditions.left(gallery.held_until, state.now, holds.MAX_PAUSE_SECONDS))
        return Red(
            f"{where} WAITS since {when(gallery.trouble_at)}: {printable(gallery.trouble)}; "
            f"it is tried again in {tried}"
        )
    if gallery.scanned_at is None:
        return f"{where}, watched by {printable(gallery.watching)}; its first scan is not finished"
    took = span(gallery.scan_seconds or 0.0)
    return (
        f"{where}, watched by {printable(gallery.watching)}; {counted(gallery.photos or 0, 'photo')}, "
        f"scanned {span(state.now - gallery.scanned_at)} ago in {took}"
    )


def _worker(state: Summary, worker: Worker) -> str:
    line = f"{worker.queues} on {worker.host}, {worker.device}, process {worker.process}"
    if is_alive(state, worker) and worker.trouble_at is not None:
        tried = span(conditions.left(worker.held_until, state.now, holds.MAX_PAUSE_SECONDS))
        since = f"since {when(worker.trouble_at)}: {printable(worker.trouble)}"
        waits = "WAITS" if worker.held_queues else "in place of a GPU that cannot be used"
        return Red(f"{line} {waits} {since}; it is tried again in {tried}")
    if is_alive(state, worker):
        return f"{line}, up for {span(state.now - worker.started_at)}"
    return Red(f"{line} is MISSING: no heartbeat for {span(heartbeats.silence(worker, state.now))}")


def _process(state: Summary, process: Process) -> str:
    line = f"{process.name} on {process.host}, process {process.process}"
    if is_alive(state, process):
        return line
    return Red(
        f"{line} is MISSING: no heartbeat for {span(heartbeats.silence(process, state.now))}"
    )


def _trouble(state: Summary, trouble: Trouble) -> str:
    latest = state.examples[trouble.latest]
    line = f"{trouble.count:,} {trouble.kind}; the latest is job {latest.id}: {printable(latest.error)}"
    return Red(line) if trouble.status is Status.FAILED else line
