"""Fixtures that run the watcher in this process, with a child process for each gallery."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from daemon.watching.watcher import watch
from storage.database import galleries
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.settings import settings


class Watching:
    """The notifications sent while the galleries are watched."""

    def __init__(self) -> None:
        self.notified: list[tuple[str, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=watch, args=(self._stop, self._notify))
        self._thread.start()

    def _notify(self, queue: str, job_id: int) -> None:
        self.notified.append((queue, job_id))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def watching(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watching]]:
    """Start to watch the gallery "g" and `others`; keywords change its settings, capital ones global settings."""
    running = []

    def start(others: dict[str, Any] | None = None, **changes: Any) -> Watching:
        gallery = json.loads(os.environ["PHOTOMEND_GALLERIES"])["g"]
        for name, value in changes.items():
            if name.isupper():
                monkeypatch.setenv(f"PHOTOMEND_{name}", str(value))
            else:
                gallery[name] = value
        monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({"g": gallery, **(others or {})}))
        settings.cache_clear()
        running.append(Watching())
        return running[-1]

    yield start
    for watching in running:
        watching.stop()


@pytest.fixture
def gallery(home: Path) -> Path:
    return home / "gallery"


@pytest.fixture
def rows(jobs: Jobs) -> Callable[[], dict[str, Job]]:
    """Return the newest job of each source."""

    def found() -> dict[str, Job]:
        with jobs.engine.execution_options(reads=True).connect() as connection:
            return {
                str((job := Job.of(row)).source): job
                for row in connection.execute(sa.select(table).order_by(table.c.id))
            }

    return found


@pytest.fixture
def scanned(jobs: Jobs, eventually: Callable[..., None]) -> Callable[[], None]:
    """Wait for the end of a full scan that begins after this call, or of the first one."""

    def wait(since: float | None = None) -> None:
        def ended() -> bool:
            row = galleries.get(jobs.engine, "g")
            return bool(row and row.scanned_at and row.scanned_at > (since or 0))

        eventually(ended)

    return wait
