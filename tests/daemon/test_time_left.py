"""`status`, `up` and the page show the same time left."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.commands.app import app
from daemon.console import session
from daemon.supervising.progress import Progress
from daemon.web.overview import Reader
from storage.database import galleries
from storage.database import workers as worker_rows
from storage.enums import QUEUES
from storage.settings import settings

DONE = (
    "UPDATE jobs SET status = 'done', decision = 'restored', pixels = 2000000, seconds = 10, "
    "claims = 2, claimed_at = 1, finished_at = updated_at WHERE id < 3"
)


@pytest.fixture
def waiting(home, jobs, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_WORKER_TIMEOUT_SECONDS", "600")
    settings.cache_clear()
    galleries.add(jobs.engine, "g", Path(), {f"{number}.jpg": "1" for number in range(9)})
    galleries.add(jobs.engine, "/gone", Path(), {f"{number}.jpg": "1" for number in range(9)})
    galleries.note(
        jobs.engine, "/gone", host="host", root=Path("/gone"), output=Path("/gone-mended"), filesystem="ext4",
        watching="events", online=False,
    )  # fmt: skip
    galleries.leave(jobs.engine, ["g"])
    for name in ("one", "two"):
        worker_rows.heartbeat(jobs.engine, name, "host", 1, QUEUES, "cpu")
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(DONE)
        connection.exec_driver_sql("UPDATE jobs SET status = 'running' WHERE id = 3")


def test_status_up_and_the_page_show_the_same_time(jobs, waiting):
    session.engine.cache_clear()
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["pace"]
    page = Reader(jobs.engine).read()
    view = Progress(jobs.engine)._now()
    assert (shown["left"], shown["left_seconds"]) == (7, 35.0)
    assert (page.state.left, page.left.seconds) == (7, 35.0)
    assert (page.left.photos, page.left.megapixels) == (7, 14.0)
    assert (view.left, view.seconds_left) == (7, 35.0)
