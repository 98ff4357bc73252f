"""The life of a job, on SQLite and on PostgreSQL."""

import dataclasses
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from storage import database
from storage.database import (
    backlog,
    galleries,
    holds,
    output_names,
    remaining,
    search,
    status,
    takeover,
)
from storage.database import workers as worker_rows
from storage.database.galleries import BACKLOG_REASON
from storage.database.jobs import Jobs, open_jobs
from storage.database.records import Job
from storage.database.tables import MOST_LETTERS, history
from storage.database.tables import jobs as table
from storage.enums import ASKED, BACKLOG, QUEUES, Category, Decision, ErrorKind, Outcome, Status
from storage.errors import ClaimLost, DatabaseNewer, DatabaseOlder, SettingsError
from storage.settings import settings

CLAIM_ALL = """
import os, sys
from storage import database
from storage.database.jobs import Jobs
from storage.enums import Decision
jobs = Jobs(database.open_engine(sys.argv[1]), pause_seconds=0, max_attempts=3)
deadline = {"seconds": 300, "seconds_per_megapixel": 60}
while job := jobs.claim(sys.argv[2], ["classify"], child=os.getpid(), **deadline):
    print(job.id)
    jobs.finish(job, Decision.CLEAN)
"""
FOLDER = Path("2024")
DEADLINE = {"seconds": 300.0, "seconds_per_megapixel": 60.0}


def only(jobs: Jobs) -> Job:
    with jobs.engine.connect() as connection:
        [row] = connection.execute(sa.select(table))
        return Job.of(row)


def test_a_version_of_a_photo_is_recorded_once_whatever_the_bytes_of_its_name(jobs):
    odd = os.fsdecode(b"caf\xe9.jpg")
    assert len(galleries.add(jobs.engine, "g", FOLDER, {odd: "1"})) == 1
    assert galleries.add(jobs.engine, "g", FOLDER, {odd: "1"}) == []
    assert galleries.known(jobs.engine, "g", FOLDER) == {odd: ("1",)}
    assert only(jobs).source == FOLDER / odd


def test_an_edited_photo_takes_the_place_of_its_older_version(jobs):
    [older] = galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    [newer] = galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "2"})
    assert search.get(jobs.engine, older).status is Status.CANCELLED
    assert search.get(jobs.engine, newer).status is Status.QUEUED


def test_new_photos_come_before_the_old_library_and_what_was_asked_for_before_both(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"old.jpg": "1"}, rank=BACKLOG)
    galleries.add(jobs.engine, "g", FOLDER, {"new.jpg": "1"})
    galleries.note_backlog(jobs.engine, "g", FOLDER, {"known.jpg": "1"})
    jobs.ask("g", FOLDER, Path("known.jpg"), "1")
    taken = []
    for _ in range(3):
        job = claim()
        taken.append(str(job.name))
        jobs.finish(job, Decision.CLEAN)
    assert taken == ["known.jpg", "new.jpg", "old.jpg"]


def test_the_backlog_is_known_and_left_alone(jobs):
    galleries.note_backlog(jobs.engine, "g", FOLDER, {"old.jpg": "1"})
    assert galleries.known(jobs.engine, "g", FOLDER) == {"old.jpg": ("1",)}
    job = only(jobs)
    assert (job.status, job.decision, job.reason) == (
        Status.DONE, Decision.LEFT_ALONE, BACKLOG_REASON,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", [8])
def test_eight_processes_claim_two_thousand_jobs_exactly_once(jobs, workers):
    added = galleries.add(
        jobs.engine, "g", FOLDER, {f"{number}.jpg": "1" for number in range(2000)}
    )
    url = jobs.engine.url.render_as_string(hide_password=False)
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, url, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(workers)
    ]
    ended = [claimer.communicate() for claimer in claimers]
    assert "locked" not in "".join(errors for _, errors in ended)
    claimed = [int(line) for printed, _ in ended for line in printed.split()]
    left = [jobs.claim("late", ["classify"], child=1, **DEADLINE)]
    assert (sorted(claimed), left) == (sorted(added), [None])


def test_a_claim_that_was_released_changes_no_row(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    frozen = claim("a")
    jobs.release_lost(60)  # no worker has sent a heartbeat
    second = claim("b")
    for end in (
        lambda: jobs.finish(frozen, Decision.CLEAN),
        lambda: jobs.end_with_error(frozen, ErrorKind.UNREADABLE, "late"),
        lambda: jobs.end_with_error(frozen, ErrorKind.CRASHED, "late"),
        lambda: jobs.end_with_error(frozen, ErrorKind.MACHINE, "late"),
        lambda: jobs.record(frozen, Path("x"), "hash", {}),
        lambda: jobs.classify(frozen, Category.CLEAN, {}),
    ):
        with pytest.raises(ClaimLost):
            end()
    jobs.finish(second, Decision.CLEAN)


def test_the_progress_of_a_claim_is_recorded_while_it_lasts(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    first = claim()
    assert first.progress_at is None
    jobs.report(first, 3, 49, 0.5)
    job = only(jobs)
    assert (job.tiles_done, job.tiles, job.tile_seconds) == (3, 49, 0.5)
    assert job.progress_at >= first.claimed_at
    jobs.end_with_error(first, ErrorKind.MACHINE, "away")
    second = claim()
    assert (second.tiles_done, second.progress_at) == (None, None)
    jobs.report(first, 4, 49, 0.5)  # its claim has ended
    assert only(jobs).tiles_done is None


def test_a_hold_lasts_longer_each_time_and_ends_when_the_device_works(jobs):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    worker_rows.heartbeat(jobs.engine, "a", "here", 1, QUEUES, "cpu")
    here = {"kind": ErrorKind.GPU_LOST, "trouble": "launch failure", "least_seconds": 30}
    assert holds.of(jobs.engine, "a") is None
    first = holds.hold(jobs.engine, "a", ["reflection"], **here)
    assert (first.is_new, first.seconds) == (True, 30)
    assert held_now(jobs) == 0
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workers SET trouble_at = trouble_at - 200")
    again = holds.hold(jobs.engine, "a", ["classify", "reflection"], **here)
    assert not again.is_new
    assert 99 < again.seconds < 130
    assert held_now(jobs) == 1
    found = holds.of(jobs.engine, "a")
    assert (found.kind, found.queues) == (ErrorKind.GPU_LOST, {"classify", "reflection"})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE workers SET trouble_at = trouble_at - 1e6")
    assert holds.hold(jobs.engine, "a", ["classify"], **here).seconds == holds.MAX_PAUSE_SECONDS
    holds.release(jobs.engine, "a")
    assert holds.of(jobs.engine, "a") is None
    assert holds.hold(jobs.engine, "lost", ["classify"], **here).is_new  # it has no row


def held_now(jobs):
    """Return the number of jobs whose queue a worker holds."""
    query = sa.select(sa.func.count()).select_from(table).where(holds.held(table.c.queue))
    with jobs.engine.connect() as connection:
        return connection.scalar(query)


def test_a_worker_with_heartbeats_keeps_its_claim(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    claim("a")
    worker_rows.heartbeat(jobs.engine, "a", "here", 1, QUEUES, "cpu")
    assert jobs.release_lost(60) == []
    time.sleep(0.05)
    assert len(jobs.release_lost(0.01)) == 1


def test_attempts_belong_to_the_photo_and_waiting_is_none(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    for _ in range(5):
        jobs.end_with_error(claim(), ErrorKind.MACHINE, "the share is gone")
    for _ in range(3):
        jobs.end_with_error(claim(), ErrorKind.CRASHED, "it crashed")
    job = only(jobs)
    assert (job.status, job.attempts, job.claims) == (Status.FAILED, 3, 8)
    [again] = jobs.retry([job.id])
    assert (again.status, again.attempts) == (Status.QUEUED, 0)
    assert jobs.retry([job.id]) == []


@pytest.mark.parametrize("kind", [ErrorKind.DEADLINE, ErrorKind.CRASHED, ErrorKind.MEMORY])
def test_a_photo_that_failed_an_attempt_waits_behind_all_others(jobs, claim, kind):
    galleries.add(jobs.engine, "g", FOLDER, {"old.jpg": "1"}, rank=BACKLOG)
    asked = jobs.ask("g", FOLDER, Path("bad.jpg"), "1")
    jobs.end_with_error(claim(), kind, "it is hard")
    galleries.add(jobs.engine, "g", FOLDER, {"new.jpg": "1"})
    jobs.classify(claim(), Category.REFLECTION, {})
    taken = []
    for _ in range(3):
        job = claim(prefer="classify")
        taken.append(str(job.name))
        jobs.finish(job, Decision.CLEAN)
    assert taken == ["old.jpg", "new.jpg", "bad.jpg"]
    assert search.get(jobs.engine, asked.id).rank in ASKED


def test_a_person_who_retries_a_photo_that_failed_an_attempt_puts_it_first(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"bad.jpg": "1"})
    jobs.end_with_error(bad := claim(), ErrorKind.CRASHED, "it crashed")
    galleries.add(jobs.engine, "g", FOLDER, {"new.jpg": "1"})
    assert len(jobs.retry([bad.id])) == 1
    assert claim().id == bad.id


def test_the_backlog_stays_the_backlog_after_a_failed_attempt(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"old.jpg": "1"}, rank=BACKLOG)
    jobs.end_with_error(claim(), ErrorKind.CRASHED, "it crashed")
    assert backlog.narrow(jobs.engine, "g", since=float("inf")) == 1


def test_the_table_opens_with_the_retries_of_the_settings(home, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "0")
    settings.cache_clear()
    jobs = open_jobs()
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    for expected in (Status.QUEUED, Status.FAILED):
        jobs.end_with_error(
            jobs.claim("a", QUEUES, child=1, **DEADLINE), ErrorKind.CRASHED, "it crashed"
        )
        assert search.get(jobs.engine, 1).status is expected
    jobs.engine.dispose()


def test_the_table_does_not_open_with_another_schema(home):
    engine = database.open_engine(settings().database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    engine.dispose()
    with pytest.raises(DatabaseOlder, match="photomend migrate"):
        open_jobs()


def test_the_loaded_chain_goes_first(jobs, claim):
    for name, category in (("a.jpg", Category.REFLECTION), ("b.jpg", Category.MOTION_BLUR)):
        galleries.add(jobs.engine, "g", FOLDER, {name: "1"})
        jobs.classify(claim(prefer="classify"), category, {})
    assert claim(prefer="motion-blur").name == Path("b.jpg")


def test_nothing_is_claimed_while_it_is_paused_or_its_gallery_offline(jobs):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    for scope, name in (("all", ""), ("category", "classify"), ("gallery", "g")):
        jobs.pause(scope, name)
        assert jobs.claim("a", QUEUES, child=1, **DEADLINE) is None
        assert jobs.resume(scope, name)
    jobs.pause("all", seconds=0)
    galleries.note(
        jobs.engine, "g", host="h", root=Path("/g"), output=Path("/o"), filesystem="ext4",
        watching="events", online=False,
    )  # fmt: skip
    assert jobs.claim("a", QUEUES, child=1, **DEADLINE) is None
    galleries.note(jobs.engine, "g", online=True)
    assert jobs.claim("a", QUEUES, child=1, **DEADLINE) is not None


def test_one_name_in_the_output_belongs_to_one_photo(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"IMG.jpg": "1", "IMG.heic": "1"})
    first, second = claim("a"), claim("b")
    assert output_names.reserve(jobs.engine, first, Path("2024/IMG.jpg"))
    assert output_names.reserve(jobs.engine, first, Path("2024/IMG.jpg"))
    assert not output_names.reserve(jobs.engine, second, Path("2024/img.JPG"))


def test_two_workers_do_not_take_the_same_name_of_a_photo_that_is_gone(jobs, claim):
    names = {"IMG.jpg": "1", "img.jpg": "1", "Img.jpg": "1"}
    galleries.add(jobs.engine, "g", FOLDER, names)
    gone, *others = (claim(worker) for worker in "abc")
    assert output_names.reserve(jobs.engine, gone, Path("2024/IMG.jpg"))
    galleries.note_gone(jobs.engine, "g", FOLDER, [str(gone.name)])
    together = Barrier(2)
    sa.event.listen(
        jobs.engine, "before_cursor_execute",
        lambda *event: event[2].startswith("UPDATE outputs") and wait_briefly(together),
    )  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        taken = list(
            pool.map(
                lambda job: output_names.reserve(jobs.engine, job, Path("2024/img.jpg")), others
            )
        )
    assert sorted(taken) == [False, True]


def wait_briefly(together: Barrier) -> None:
    """Wait for the other thread, unless the database lets only one of them come here."""
    with suppress(BrokenBarrierError):
        together.wait(1)


def test_a_photo_that_is_gone_gives_its_name_back_unless_it_left_another_result(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"IMG.jpg": "1", "img.jpg": "1"})
    first, second = claim("a"), claim("b")
    assert output_names.reserve(jobs.engine, first, Path("2024/IMG.jpg"))
    jobs.record(first, Path("2024/IMG.jpg"), "sha", {})
    jobs.finish(first, Decision.RESTORED, content_hash="first")
    galleries.note_gone(jobs.engine, "g", FOLDER, ["IMG.jpg"])
    assert not output_names.reserve(jobs.engine, second, Path("2024/img.jpg"))
    assert output_names.reserve(
        jobs.engine, dataclasses.replace(second, content_hash="first"), Path("2024/img.jpg")
    )
    galleries.note_gone(jobs.engine, "g", FOLDER, ["img.jpg"])
    assert output_names.reserve(
        jobs.engine, dataclasses.replace(second, name=Path("Img.jpg")), Path("2024/Img.jpg")
    )


def test_a_photo_that_moves_to_another_gallery_takes_its_job_along(jobs):
    galleries.note_backlog(jobs.engine, "g", FOLDER, {"a.jpg": "12-5-1", "b.jpg": "123-5-2"})
    assert galleries.vanished(jobs.engine, {"c.jpg": "12-5-3"}) == {}
    galleries.note_gone(jobs.engine, "g", FOLDER)
    found = galleries.vanished(jobs.engine, {"c.jpg": "12-6-3", "b.jpg": "123-5-3", "d": "1-5-1"})
    assert {name: [str(job.name) for job in jobs] for name, jobs in found.items()} == {
        "c.jpg": ["a.jpg"], "b.jpg": ["b.jpg"],
    }  # fmt: skip
    galleries.adopt(jobs.engine, "other", Path(), [(found["c.jpg"][0], "c.jpg", "12-6-3")])
    assert galleries.known(jobs.engine, "other", Path()) == {"c.jpg": ("12-6-3",)}
    assert galleries.vanished(jobs.engine, {"c.jpg": "12-6-3"}) == {}


def test_what_vanished_is_gone_and_may_come_back(jobs):
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1", "b.jpg": "1"})
    assert galleries.note_gone(jobs.engine, "g", FOLDER, ["a.jpg"]) == 1
    assert set(galleries.known(jobs.engine, "g", FOLDER)) == {"b.jpg"}
    assert galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1"}) == []
    assert set(galleries.known(jobs.engine, "g", FOLDER)) == {"a.jpg", "b.jpg"}
    assert galleries.note_gone(jobs.engine, "g", FOLDER) == 2
    assert galleries.folders(jobs.engine, "g") == set()


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_each_kind_of_error_fails_counts_an_attempt_or_waits(jobs, claim, kind):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    jobs.end_with_error(claim(), kind, "because")
    job = only(jobs)
    expected = {
        Outcome.FAIL: (Status.FAILED, 0),
        Outcome.ATTEMPT: (Status.QUEUED, 1),
        Outcome.WAIT: (Status.QUEUED, 0),
    }
    assert (job.status, job.attempts) == expected[kind.outcome]
    assert (job.error_kind, job.error, job.worker) == (kind, "because", None)
    assert (job.finished_at is None) == (job.status is Status.QUEUED)


def test_a_job_tells_its_story(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    jobs.classify(claim(), Category.MOTION_BLUR, {})
    jobs.finish(claim(), Decision.KEPT_ORIGINAL, "it was not better")
    with jobs.engine.connect() as connection:
        lines = list(connection.scalars(sa.select(history.c.event).order_by(history.c.id)))
    assert lines == [
        "claimed by a, process 1", "classified as motion-blur",
        "claimed by a, process 1", "kept original: it was not better",
    ]  # fmt: skip


def test_a_reason_may_name_a_photo_whose_name_is_not_utf_8(jobs, claim):
    odd = os.fsdecode(b"caf\xe9.jpg")
    galleries.add(jobs.engine, "g", FOLDER, {odd: "1"})
    jobs.end_with_error(claim(), ErrorKind.MACHINE, f"{odd} is away", pause_seconds=0.0)
    assert only(jobs).error == "caf\\xe9.jpg is away"
    jobs.finish(claim(), Decision.RESTORED, f"the result of {odd}, the same photo")
    assert only(jobs).reason == "the result of caf\\xe9.jpg, the same photo"


def test_a_reason_is_stored_to_a_length(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    jobs.finish(claim(), Decision.LEFT_ALONE, "a" * 1_000_000)
    assert only(jobs).reason == "a" * MOST_LETTERS


def test_the_migrations_make_what_the_tables_say(home, monkeypatch):
    command.check(Config(toml_file=Path(__file__).parents[3] / "pyproject.toml"))


def test_rows_of_the_first_schema_are_read_after_the_migration(url):
    engine = database.open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[3] / "alembic"))
    config.attributes["engine"] = engine
    command.upgrade(config, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO workers (id, host, process, queues, device, started_at, beat_at) "
            "VALUES ('w', 'here', 1, 'classify', 'cpu', 1.0, 2.0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO galleries (name, host, root, output, filesystem, watching, online, "
            "walked_at, walk_seconds, photos, updated_at) "
            "VALUES ('g', 'here', '/g', '/o', 'ext4', 'events', TRUE, 3.0, 4.0, 5, 6.0)"
        )
    database.migrate(url)
    database.check(engine)
    gallery = galleries.get(engine, "g")
    assert (gallery.scanned_at, gallery.scan_seconds, gallery.photos) == (3.0, 4.0, 5)
    [worker] = status.summary(engine).workers
    assert worker.heartbeat_at == 2.0
    engine.dispose()


def test_a_database_that_is_older_or_newer_is_refused_with_what_to_do(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with pytest.raises(DatabaseOlder, match="photomend migrate"):
        database.open_checked(url)
    database.migrate(url)
    engine = database.open_checked(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for refused in (database.open_checked, database.migrate):
        with pytest.raises(DatabaseNewer, match="newer"):
            refused(url)
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense", "sesam@nas", "postgresql://me:p@sesam@nas/db", "postgresql://me:p@se/sam@nas/db",
        "postgresql://me:sesam@nas:port/db",
    ],
)  # fmt: skip
def test_an_url_that_is_no_database_is_one_sentence_without_its_password(url):
    with pytest.raises(SettingsError, match="no database URL") as raised:
        database.open_engine(url)
    assert "sam" not in str(raised.value)


def test_a_database_is_named_without_its_password():
    engine = database.open_engine("postgresql://me:sesam@nas/db?sslpassword=sesam")
    assert database.named(engine) == "the database postgresql+psycopg://me:***@nas/db?***"


def test_what_is_due_paused_or_held_further_ahead_than_any_pause_can_be_is_due_now(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"cat.jpg": "1"})
    worker_rows.heartbeat(jobs.engine, "a", "here", 1, QUEUES, "cpu")
    jobs.end_with_error(claim(), ErrorKind.MACHINE, "away", pause_seconds=1e9)
    jobs.pause("all", seconds=7200)
    holds.hold(jobs.engine, "a", QUEUES, ErrorKind.GPU_LOST, "lost", least_seconds=600)
    assert search.due(jobs.engine, "classify", 9) == []
    assert held_now(jobs) == 1
    day = 86400
    with jobs.engine.begin() as connection:  # as if the clock had been a day ahead at that time
        for column in ("due_at", "updated_at"):
            connection.exec_driver_sql(f"UPDATE jobs SET {column} = {column} + {day}")
        connection.exec_driver_sql(
            f"UPDATE pauses SET until = until + {day}, since = since + {day}"
        )
        connection.exec_driver_sql(f"UPDATE workers SET held_until = held_until + {day}")
    assert search.due(jobs.engine, "classify", 9) == [1]
    assert not status.summary(jobs.engine).pauses
    assert (held_now(jobs), holds.of(jobs.engine, "a").seconds) == (0, 0)
    assert claim().id == 1


def test_a_pause_without_an_end_lasts_whatever_the_clock_says(jobs):
    jobs.pause("all")
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pauses SET since = since + 86400")
    assert len(status.summary(jobs.engine).pauses) == 1


def test_a_heartbeat_of_this_boot_is_told_by_the_time_since_boot_and_others_by_the_clock(jobs):
    worker_rows.heartbeat(jobs.engine, "here", "host", 1, QUEUES, "cpu")
    worker_rows.heartbeat(jobs.engine, "there", "other", 1, QUEUES, "cpu")

    def lost_after(step: str) -> set[str]:
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE workers SET boot = 'x' WHERE id = 'there'")
            connection.exec_driver_sql(f"UPDATE workers SET heartbeat_at = heartbeat_at {step}")
        jobs.release_lost(60)
        return {worker.id for worker in status.summary(jobs.engine).workers}

    assert lost_after("- 30") == {"here", "there"}
    assert lost_after("+ 200") == {"here"}
    assert lost_after("- 1000") == {"here"}


def test_a_gallery_is_held_tried_again_accepted_and_renamed(jobs):
    engine = jobs.engine
    galleries.note(
        engine, "old", host="h", root=Path("/g"), output=Path("/o"), filesystem="ext4",
        watching="events", online=True, scanned_at=1.0,
    )  # fmt: skip
    galleries.add(engine, "old", FOLDER, {"a.jpg": "1", "b.jpg": "1"})
    full = ErrorKind.DISK_FULL
    assert holds.hold_gallery(engine, "old", full, "no room", least_seconds=60).is_new
    assert not holds.hold_gallery(engine, "old", full, "no room", least_seconds=60).is_new
    assert search.due(engine, "classify", 9) == []
    assert not remaining.under_way(engine, ["old"], since=1.0)
    jobs.retry([1])  # it does not wait after an error
    assert search.due(engine, "classify", 9) == []
    with engine.begin() as connection:
        holds.try_now(connection, {"old"})
    assert search.due(engine, "classify", 9) == [1, 2]
    assert holds.release_gallery(engine, "old") and not holds.release_gallery(engine, "old")

    claim = jobs.claim("w", ["classify"], child=1, **DEADLINE)
    assert "stop photomend" in takeover.rename(engine, "old", "new")
    jobs.end_with_error(claim, full, "no room", pause_seconds=600)
    assert takeover.rename(engine, "old", "new") is None
    assert [gallery.name for gallery in takeover.others(engine, "another", "h")] == ["new"]
    assert takeover.take(engine, "new", {"identity": "disk"}, empty=False) == 0
    assert search.due(engine, "classify", 9) == [2, 1]  # which was due first
    assert takeover.take(engine, "new", {}, empty=True) == 2
    galleries.add(engine, "old", FOLDER, {"a.jpg": "1"})
    assert "both names" in takeover.rename(engine, "old", "new")
