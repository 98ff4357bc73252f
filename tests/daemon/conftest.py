"""A fixture that runs the watcher in this process, with a child process for each gallery."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.watching.watcher import watch
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
    """Start to watch the gallery "g"; keywords change its settings, capital ones global settings."""
    running = []

    def start(**changes: Any) -> Watching:
        gallery = json.loads(os.environ["PHOTOMEND_GALLERIES"])["g"]
        for name, value in changes.items():
            if name.isupper():
                monkeypatch.setenv(f"PHOTOMEND_{name}", str(value))
            else:
                gallery[name] = value
        monkeypatch.setenv("PHOTOMEND_GALLERIES", json.dumps({"g": gallery}))
        settings.cache_clear()
        running.append(Watching())
        return running[-1]

    yield start
    for watching in running:
        watching.stop()
