"""An engine whose database file is deleted or replaced while it is in use."""

import pytest

from storage import database
from storage.database import galleries, status
from storage.errors import DatabaseGone
from storage.settings import settings


@pytest.fixture
def url(home):
    """The database of a file; a server notices by itself what is deleted."""
    return settings().database


def remove(home, suffixes=("", "-wal", "-shm")):
    for suffix in suffixes:
        (home / f"state/jobs.db{suffix}").unlink(missing_ok=True)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_database_that_is_deleted_is_neither_used_nor_made_again(home, jobs, pooled):
    galleries.forget(jobs.engine, "g")
    held = None if pooled else jobs.engine.connect()  # so that the next one has to be opened
    remove(home)
    for _ in range(2):
        with pytest.raises(DatabaseGone, match=r"jobs\.db was deleted or replaced while"):
            status.clock(jobs.engine)
    assert not (home / "state/jobs.db").exists()
    if held is not None:
        held.close()


def test_a_database_that_is_replaced_is_used_after_the_engine_was_disposed_of(home, jobs):
    galleries.forget(jobs.engine, "g")
    remove(home)
    database.migrate(settings().database)
    with pytest.raises(DatabaseGone):
        galleries.forget(jobs.engine, "g")
    jobs.engine.dispose()
    assert galleries.forget(jobs.engine, "g") is None
