"""Fixtures: receivers on this machine, jobs that ended, and rounds of messages."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from daemon.messages.messenger import Messenger
from storage.database import galleries, processes
from storage.database import workers as worker_rows
from storage.database.jobs import Jobs
from storage.database.tables import jobs as table
from storage.database.tables import now
from storage.enums import QUEUES, Decision, Status
from storage.settings import settings
from tasks.worker import redis_client


class Receiver(ThreadingHTTPServer):
    """An HTTP server that keeps what it is sent, and may refuse or hang."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Request)
        self.place = f"127.0.0.1:{self.server_port}"
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers and content of each request."""
        self.status = 200
        self.moved_to = ""
        self.hang = threading.Event()
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(content) for _, _, content in self.got]

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), content))
        if self.server.hang.is_set():
            self.server.closing.wait(60)
            return
        self.send_response(self.server.status)
        if self.server.moved_to:
            self.send_header("Location", self.server.moved_to)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def start_receiver() -> Iterator[Callable[..., Receiver]]:
    started: list[Receiver] = []

    def start(port: int = 0) -> Receiver:
        started.append(Receiver(port))
        return started[-1]

    yield start
    for receiver in started:
        if not receiver.closing.is_set():
            receiver.close()


@pytest.fixture
def receiver(start_receiver: Callable[..., Receiver]) -> Receiver:
    return start_receiver()


@pytest.fixture
def end(jobs: Jobs) -> Callable[..., int]:
    """Record a job that has ended; return its id."""

    def record(name: str, **values: Any) -> int:
        galleries.add(jobs.engine, "g", Path(), {name: "1"})
        values = {
            "status": Status.DONE,
            "decision": Decision.RESTORED,
            "finished_at": now(),
        } | values
        with jobs.engine.begin() as connection:
            found = connection.execute(table.select().where(table.c.name == Path(name))).one()
            connection.execute(update(table).where(table.c.id == found.id).values(values))
            return int(found.id)

    return record


@pytest.fixture
def healthy(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, redis_server: Any) -> None:
    """Nothing that a person must mend."""
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "600")
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    redis_client.client.cache_clear()
    processes.heartbeat(jobs.engine, "watcher", "maintenance", "gallery g")
    worker_rows.heartbeat(jobs.engine, "w", "host", 1, QUEUES, "cpu")


@pytest.fixture
def notify(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set [notify] of the settings."""

    def change(**values: Any) -> None:
        monkeypatch.setenv("PHOTOMEND_NOTIFY", json.dumps(values))
        settings.cache_clear()

    return change


@pytest.fixture
def remembered(home: Path) -> Callable[[], dict[str, Any]]:
    """Return what the file says that was told."""
    return lambda: json.loads((home / "state/messages.json").read_text())


@pytest.fixture
def forget(home: Path) -> Callable[..., None]:
    """Change what the file remembers: the period of each last digest, since when alerts last."""

    def change(period: str | None = None, since: float | None = None) -> None:
        file = home / "state/messages.json"
        known = json.loads(file.read_text())
        for told in known["receivers"].values():
            told["period"] = period or told["period"]
            told["until"] -= 1000 if period else 0
        for alert in known["alerts"].values():
            alert["since"] -= since or 0
        file.write_text(json.dumps(known))

    return change


@pytest.fixture
def messenger(jobs: Jobs, healthy: None) -> Callable[[], Messenger]:
    """Return what begins with what the file remembers."""
    return lambda: Messenger(jobs.engine)
