"""The metrics for Prometheus. Labels are words of photomend and names of galleries, never paths."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from daemon.reports.health import Concern, Problem, is_alive
from daemon.reports.labels import label
from daemon.web.overview import Overview
from storage.enums import QUEUES, Status
from storage.settings import settings

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The format that each Prometheus reads."""
MOST_GALLERIES = 100
"""Galleries that have metrics of their own."""


def text(overview: Overview, problems: Sequence[Problem]) -> bytes:
    """Return all metrics in Prometheus' format; the registry is our own, so it holds no others."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        _Once([*_jobs(overview), *_processes(overview, problems), *_galleries(overview)])
    )
    return generate_latest(registry)


class _Once(Collector):
    """Metrics that were read already."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._families


def _jobs(overview: Overview) -> Iterator[GaugeMetricFamily]:
    state = overview.state
    yield _by(
        "jobs", "Jobs by status.", ("status",), {(s,): n for s, n in state.counts.jobs.items()}
    )
    decided = {(decision,): count for decision, count in state.counts.decisions.items()}
    yield _by("decisions", "Photos that are done, by decision.", ("decision",), decided)
    troubles = {(trouble.status, trouble.kind): trouble.count for trouble in state.counts.troubles}
    yield _by(
        "errors", "Jobs that failed, or wait, by kind of error.", ("status", "kind"), troubles
    )
    yield _one(
        "oversized_copies", "Copies that are much larger than their photos.", state.counts.oversized
    )
    yield _one(
        "recently_finished_jobs", "Jobs that were finished within an hour.", state.pace.finished
    )
    yield _one(
        "time_left_seconds", "Estimate of the time that waiting photos need.", overview.left.seconds
    )


def _processes(overview: Overview, problems: Sequence[Problem]) -> Iterator[GaugeMetricFamily]:
    state = overview.state
    yield _by("build_info", "The version of photomend.", ("version",), {(version("photomend"),): 1})
    alive = [worker for worker in state.workers if is_alive(state, worker)]
    served = Counter(queue for worker in alive for queue in worker.queues.split(","))
    yield _by(
        "workers", "Workers that live, by queue.", ("queue",), {(q,): served[q] for q in QUEUES}
    )
    yield _one("processes_alive", "Watcher, maintenance and galleries' processes that live.",
               sum(is_alive(state, each) for each in state.processes))  # fmt: skip
    yield _one("paused", "1 while everything is paused.", int(overview.paused))
    about = Counter(problem.concern for problem in problems)
    yield _by("problems", "What a person must mend, by what it is about.", ("about",),
              {(concern,): about[concern] for concern in Concern})  # fmt: skip
    free = shutil.disk_usage(settings().state_dir).free
    yield _one("state_free_bytes", "Free space on the disk of the state folder.", free)


def _galleries(overview: Overview) -> Iterator[GaugeMetricFamily]:
    """Yield the metrics of galleries; those with the same label are taken together."""
    photos: Counter[tuple[str, ...]] = Counter()
    waiting: Counter[tuple[str, ...]] = Counter()
    online: dict[tuple[str, ...], int] = {}
    for gallery in overview.state.galleries[:MOST_GALLERIES]:
        own = (label(gallery.name),)
        photos[own] += gallery.photos or 0
        waiting[own] += overview.of_gallery(gallery)[Status.QUEUED]
        online[own] = min(online.get(own, 1), int(gallery.online))
    yield _by("gallery_online", "1 while the gallery is online.", ("gallery",), online)
    yield _by("gallery_photos", "Photos that the last full scan saw.", ("gallery",), photos)
    yield _by("gallery_waiting_jobs", "Jobs that wait.", ("gallery",), waiting)


def _by(
    name: str, words: str, labels: Sequence[str], numbers: Mapping[Any, float]
) -> GaugeMetricFamily:
    """Return a metric; `numbers` has a tuple of words for each number, of any enum."""
    family = GaugeMetricFamily(f"photomend_{name}", words, labels=labels)
    for values, number in numbers.items():
        family.add_metric([str(value) for value in values], number)
    return family


def _one(name: str, words: str, number: float | None) -> GaugeMetricFamily:
    """Return a metric without labels; without a value if it is not known."""
    return _by(name, words, (), {} if number is None else {(): number})
