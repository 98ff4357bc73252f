"""The kept numbers of jobs are those of the jobs, whatever changes them, on both databases."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from storage import database
from storage.database import backlog, counts, galleries
from storage.database.jobs import Jobs
from storage.database.tables import counted
from storage.database.tables import jobs as table
from storage.enums import CLASSIFY, Category, Decision, ErrorKind

KIND = [column.name for column in counted.c if column.name not in ("id", "number")]
FOLDER = Path("2024")


def are_right(engine: sa.Engine) -> bool:
    """Compare the kept numbers with those of the rows."""
    kept = counts.by(*(counted.c[name] for name in KIND))
    columns = [table.c[name] for name in KIND]
    true = sa.select(*columns, sa.func.count()).group_by(*columns)
    with engine.connect() as connection:
        found = [set(map(tuple, connection.execute(query))) for query in (kept, true)]
    return found[0] == found[1]


def claim(jobs: Jobs):
    return jobs.claim("w", [CLASSIFY], child=1, seconds=300, seconds_per_megapixel=60)


def test_the_numbers_stay_right_whatever_changes_the_jobs(jobs):
    engine = jobs.engine
    add = {f"{number}.jpg": "1" for number in range(12)}
    changes = [
        lambda: galleries.add(engine, "g", FOLDER, add),
        lambda: galleries.add(engine, "g", FOLDER, add),
        lambda: galleries.add(engine, "g", FOLDER, {"0.jpg": "2"}),
        lambda: galleries.note_backlog(engine, "g", FOLDER, {"old.jpg": "9-1000000000"}),
        lambda: jobs.classify(claim(jobs), Category.REFLECTION, {}),
        lambda: jobs.record(claim(jobs), Path("a"), "1", {"copy": {"larger_than_the_rule": "x"}}),
        lambda: claim(jobs),  # which releases that of this child first
        lambda: jobs.finish(claim(jobs), Decision.CLEAN),
        lambda: jobs.end_with_error(claim(jobs), ErrorKind.UNREADABLE, "no image"),
        lambda: jobs.end_with_error(claim(jobs), ErrorKind.DISK_FULL, "no room", pause_seconds=60),
        lambda: (claim(jobs), jobs.release_lost(60)),
        lambda: jobs.cancel([9, 10]),
        lambda: jobs.retry(range(1, 20)),
        lambda: backlog.widen(engine, "g", 0.0),
        lambda: backlog.leave_folder(engine, "g", FOLDER, "a rule"),
        lambda: jobs.ask("other", FOLDER, Path("0.jpg"), "1"),
        lambda: galleries.forget(engine, "g"),
    ]
    for change in changes:
        change()
        assert are_right(engine)
    assert galleries.forget(engine, "other") == 1
    assert are_right(engine)


def test_a_transaction_that_is_not_committed_counts_nothing(jobs):
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1"})
    with jobs.engine.connect() as connection:
        galleries.record(connection, "g", FOLDER, {"b.jpg": "1"})
        connection.exec_driver_sql("UPDATE jobs SET status = 'done'")
        connection.rollback()
    assert are_right(jobs.engine)


def test_a_photo_that_two_processes_record_at_once_is_counted_once(jobs):
    """On PostgreSQL the second one waits for the first; SQLite lets one write after the other."""
    if jobs.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    other = database.open_engine(jobs.engine.url.render_as_string(hide_password=False))
    pending = [lambda: galleries.add(other, "g", FOLDER, {"a.jpg": "1"})]

    @sa.event.listens_for(jobs.engine, "before_cursor_execute")
    def come_first(connection, cursor, statement, *rest):
        if statement.startswith("INSERT INTO jobs") and pending:
            pending.pop()()

    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1", "b.jpg": "1"})
    other.dispose()
    assert not pending
    assert are_right(jobs.engine)


def test_many_rows_are_folded_into_one_for_each_kind(jobs, monkeypatch):
    monkeypatch.setattr(counts, "MOST_ROWS", 10)
    rows = sa.select(sa.func.count()).select_from(counted)
    for number in range(9):
        galleries.add(jobs.engine, "g", FOLDER, {f"{number}.jpg": "1"})
    counts.fold(jobs.engine)
    for _ in range(3):
        jobs.finish(claim(jobs), Decision.CLEAN)
    with jobs.engine.connect() as connection:
        assert connection.scalar(rows) == 9 + 3 * 4
    counts.fold(jobs.engine)
    with jobs.engine.connect() as connection:
        assert connection.scalar(rows) == 2
    assert are_right(jobs.engine)


def test_the_jobs_of_an_older_database_are_counted_by_the_migration(url):
    engine = database.open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[3] / "alembic"))
    config.attributes["engine"] = engine
    command.upgrade(config, "0008")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO jobs (gallery, folder, name, fingerprint, status, queue, rank, due_at, "
            "attempts, claims, created_at, updated_at, seconds) "
            "VALUES ('g', 'f', 'a.jpg', '1', 'queued', 'classify', 1, 0, 0, 0, 0, 0, 0)"
        )
    database.migrate(url)
    assert are_right(engine)
    jobs = Jobs(engine, pause_seconds=0, max_attempts=3)
    jobs.finish(claim(jobs), Decision.CLEAN)
    assert are_right(engine)
    command.downgrade(config, "0008")
    database.migrate(url)
    assert are_right(engine)
    engine.dispose()


@pytest.mark.parametrize("left", [{}, {"a.jpg": "1"}])
def test_a_kind_without_jobs_is_not_listed(jobs, left):
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1"})
    galleries.forget(jobs.engine, "g")
    galleries.add(jobs.engine, "g", FOLDER, left)
    with jobs.engine.connect() as connection:
        assert len(connection.execute(counts.by(counted.c.gallery)).all()) == len(left)
