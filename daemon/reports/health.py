"""Find what a person must mend, for `status --check`, `doctor`, the page's monitoring and messages."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from daemon.console.output import span, when
from daemon.reports import followups, space
from storage.database import heartbeats, processes, status
from storage.database.records import Gallery, Process, Worker
from storage.database.status import Summary
from storage.enums import QUEUES, ErrorKind, Status
from storage.settings import settings
from storage.text import counted
from storage.urls import without_password

OVERDUE_SECONDS = 120.0
"""Seconds after which a job that could have been claimed counts as a problem."""
STALLED_SECONDS = 1800.0
"""Seconds without a decision, though a photo was due all the time, that count as a problem."""


class Concern(StrEnum):
    """What a problem is about."""

    GALLERY = "gallery"
    """A gallery is offline."""
    OUTPUT = "output"
    """The output of a gallery cannot be written to."""
    FULL = "full"
    """A disk is full."""
    PROCESS = "process"
    """A process does not live, or keeps ending."""
    WORKER = "worker"
    """A queue has no worker."""
    DEVICE = "device"
    """A GPU, or another device, cannot be used."""
    QUEUE = "queue"
    """Jobs could go on and do not."""
    REDIS = "redis"
    LIBRARY_APP = "library app"
    """What an app that shows photos was to be told has waited for too long."""


OWN = (Concern.PROCESS, Concern.WORKER, Concern.REDIS, Concern.QUEUE)
"""What is wrong with photomend itself: not with a disk, a share or a GPU that it needs."""


@dataclass(frozen=True)
class Problem:
    """What a person must mend."""

    concern: Concern
    text: str
    """A sentence with what to do."""
    subject: str = ""
    """The gallery or queue; "" if there is only one thing that the problem can be about."""


def is_alive(state: Summary, sender: Worker | Process) -> bool:
    """Return whether the last heartbeat is recent."""
    return heartbeats.silence(sender, state.now) < settings().worker_timeout_seconds


def problems(engine: sa.Engine, state: Summary) -> list[str]:
    """Return all problems, each as a sentence."""
    return [problem.text for problem in find(engine, state)]


def find(engine: sa.Engine, state: Summary) -> list[Problem]:
    """Return all problems; no gallery and no output is touched."""
    devices = [Problem(Concern.DEVICE, text) for text in _devices(state)]
    queues = [Problem(Concern.QUEUE, text) for text in _queues(engine, state)]
    apps = followups.problems(state.followups, state.now)
    return [
        *_galleries(state), *_processes(state), *devices, *queues,
        *(Problem(Concern.LIBRARY_APP, text) for text in apps), *_surroundings(),
    ]  # fmt: skip


def _galleries(state: Summary) -> list[Problem]:
    offline = [
        Problem(Concern.GALLERY, f"gallery {g.name} is offline: {g.reason}", g.name)
        for g in state.galleries
        if not g.online
    ]
    return offline + [
        Problem(
            Concern.FULL if g.trouble_kind is ErrorKind.DISK_FULL else Concern.OUTPUT,
            f"the output of gallery {g.name} cannot be written to since {when(g.trouble_at)}: "
            f"{g.trouble}", g.name,
        )
        for g in state.galleries
        if waits(state, g)
    ]  # fmt: skip


def waits(state: Summary, gallery: Gallery) -> bool:
    """Return whether photos of a gallery wait for its output."""
    queued = state.counts.galleries.get(gallery.name, {}).get(Status.QUEUED, 0)
    return gallery.trouble_at is not None and queued > 0


def of_processes(state: Summary) -> list[str]:
    """Return the problems of the watcher, the gallery processes, maintenance and the workers."""
    return [problem.text for problem in _processes(state)]


def _processes(state: Summary) -> list[Problem]:
    served = _served(state)
    return [Problem(Concern.PROCESS, text) for text in _not_alive(state)] + [
        Problem(
            Concern.WORKER, f"no worker serves {queue}; start one: photomend work {queue}", queue
        )
        for queue in QUEUES
        if queue not in served
    ]


def _not_alive(state: Summary) -> list[str]:
    alive = {process.name for process in state.processes if is_alive(state, process)}
    found = [] if processes.WATCHER in alive else [_no_watcher()]
    found += [
        f"{each.name} on {each.host} (process {each.process}) has sent no heartbeat for "
        f"{span(heartbeats.silence(each, state.now))}"
        for each in state.processes
        if processes.sends_heartbeats(each.name) and not is_alive(state, each)
    ]
    found += [
        f"{each.name} on {each.host} keeps ending: {each.trouble}"
        for each in state.processes
        if each.trouble_at is not None and state.now - each.trouble_at < processes.TROUBLE_SECONDS
    ]
    if processes.WATCHER in alive:
        known = {process.name for process in state.processes}
        found += [
            f"gallery {name} of the settings is not watched; start the watcher again"
            for name in settings().galleries
            if processes.GALLERY + name not in known
        ]
    return found + [
        f"the worker of {worker.queues} on {worker.host} (process {worker.process}) has "
        f"sent no heartbeat for {span(heartbeats.silence(worker, state.now))}"
        for worker in state.workers
        if not is_alive(state, worker)
    ]


def _no_watcher() -> str:
    return "no watcher runs, so no new photo is found; start it: photomend up, or photomend watch"


def _served(state: Summary) -> set[str]:
    alive = [worker for worker in state.workers if is_alive(state, worker)]
    return {queue for worker in alive for queue in worker.queues.split(",")}


def _devices(state: Summary) -> list[str]:
    return [
        f"{_what(worker)} of {worker.host} cannot be used since {when(worker.trouble_at)}: "
        f"{worker.trouble}; {_consequence(worker)}"
        for worker in state.workers
        if is_alive(state, worker) and worker.trouble_at is not None
    ]


def _what(worker: Worker) -> str:
    if worker.trouble_kind is ErrorKind.CRASHED:
        return f"the worker {worker.process}"
    return worker.device if worker.held_queues else "the GPU"


def _consequence(worker: Worker) -> str:
    """Return what becomes of the jobs that need what is in trouble."""
    return f"jobs of {worker.held_queues} wait" if worker.held_queues else "lite takes its steps"


def _queues(engine: sa.Engine, state: Summary) -> list[str]:
    """Return the problems of jobs that could go on and do not."""
    held = {q for worker in state.workers for q in (worker.held_queues or "").split(",")}
    last = status.last_claim(engine, OVERDUE_SECONDS)
    claims = bool(state.running) or (last is not None and last > state.now - OVERDUE_SECONDS)
    served = _served(state)
    found = [
        f"due jobs of {queue} have waited for more than {span(OVERDUE_SECONDS)} and no "
        "worker claims them; `photomend doctor` may find the cause"
        for queue in status.overdue(engine, OVERDUE_SECONDS)
        if (not claims or queue not in served) and queue not in held
    ]
    found += _stalled(engine, state, held)
    if count := status.due_in_unlikely_future(engine):
        found.append(
            f"a wrong clock made {counted(count, 'photo')} due in an unlikely future; tried now"
        )
    return found


def _stalled(engine: sa.Engine, state: Summary, held: set[str]) -> list[str]:
    """Return whether nothing was decided for long, as when each photo ends its worker."""
    if not set(status.overdue(engine, STALLED_SECONDS)) - held:
        return []
    works = any(state.now - (j.claimed_at or state.now) > OVERDUE_SECONDS for j in state.running)
    since = state.now - (status.last_decision(engine) or 0.0)
    if works or since < STALLED_SECONDS:
        return []
    for_long = f"for {span(since)}" if since < state.now / 2 else "yet"
    latest = [state.examples[trouble.latest] for trouble in state.counts.troubles]
    why = f"; the latest error: {latest[0].error}" if latest else ""
    return [f"no photo has been finished {for_long}, though photos wait{why}"]


def _surroundings() -> list[Problem]:
    """Return the problems of Redis and of the state folder's disk."""
    from tasks.worker import redis_client

    found = []
    if reason := redis_client.trouble():
        where = without_password(settings().redis_url) or settings().redis_socket
        found.append(Problem(Concern.REDIS, f"Redis cannot be used at {where}: {reason}"))
    if shortage := space.shortage(settings().state_dir):
        found.append(Problem(Concern.FULL, f"the state folder {shortage}"))
    return found
