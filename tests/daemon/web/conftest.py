"""Fixtures: the page in this process, and jobs that it shows."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from daemon.console import session
from daemon.web import app
from storage.database import galleries
from storage.database.tables import jobs as table
from storage.database.tables import now
from storage.enums import Category, Decision, Status
from storage.settings import settings

ADDRESS = "127.0.0.1:8484"


@pytest.fixture
def web_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set [web] of the settings, as JSON."""

    def change(text: str) -> None:
        monkeypatch.setenv("PHOTOMEND_WEB", text)
        settings.cache_clear()

    return change


@pytest.fixture
def browse(web_settings, jobs) -> Iterator[Callable[..., TestClient]]:
    """Return a browser that looks at the page; each has cookies of its own."""
    opened = []
    session.engine.cache_clear()
    session.jobs.cache_clear()

    def browser(web: str = "{}", **headers: str) -> TestClient:
        web_settings(web)
        client = TestClient(
            app.build(settings()), base_url=f"http://{ADDRESS}", headers=headers,
            follow_redirects=False, raise_server_exceptions=True,
        )  # fmt: skip
        opened.append(client)
        return client

    yield browser
    for client in opened:
        client.close()
    session.engine().dispose()
    session.jobs().engine.dispose()
    session.engine.cache_clear()
    session.jobs.cache_clear()


@pytest.fixture
def page(browse) -> TestClient:
    return browse()


@pytest.fixture
def token_of() -> Callable[..., str]:
    """Return the token of the forms of a page."""

    def token(client: TestClient, path: str = "/") -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', client.get(path).text)
        assert found
        return found[1]

    return token


@pytest.fixture
def post(token_of) -> Callable[..., Any]:
    """Send a form as a page of ours does."""

    def send(client: TestClient, path: str, **fields: Any):
        start = "/login" if path == "/login" else "/"
        return client.post(path, data={"token": token_of(client, start), **fields})

    return send


@pytest.fixture
def add(jobs) -> Callable[..., int]:
    """Record a job, change its row and return its id."""

    def record(name: str = "cat.jpg", folder: str = ".", **values: Any) -> int:
        galleries.add(jobs.engine, "g", Path(folder), {name: "1"})
        with jobs.engine.begin() as connection:
            here = (table.c.name == Path(name), table.c.folder == Path(folder))
            found = connection.execute(table.select().where(*here)).one()
            connection.execute(update(table).where(table.c.id == found.id).values(values))
            return int(found.id)

    return record


@pytest.fixture
def add_mended(add) -> Callable[..., int]:
    """Record a job whose photo was mended."""

    def record(name: str = "cat.jpg", folder: str = ".", **values: Any) -> int:
        done = {
            "status": Status.DONE, "category": Category.SUPER_RESOLUTION, "finished_at": now(),
            "decision": Decision.RESTORED, "output": Path(folder, name), "sha256": "0" * 64,
            "scores": {"severities": {"noise": 0.99, "softness": 0.2}, "confident": True},
            "receipt": {"guard": {"visible_change": 3.9, "kept_share": 1.0}, "steps": []},
        }  # fmt: skip
        return add(name, folder, **done | values)

    return record
