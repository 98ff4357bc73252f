"""Counting and finding jobs; the state of everything for `photomend status`."""

import fnmatch
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import galleries, holds, remaining, search, status
from storage.database import workers as worker_rows
from storage.database.search import Filter
from storage.database.status import Pace
from storage.enums import CLASSIFY, Category, Decision, ErrorKind, Status

ODD = os.fsdecode(b"caf\xe9.jpg")


@pytest.fixture
def sources(jobs):
    """Find jobs and give their sources."""

    def found(**wanted: object) -> list[str]:
        wanted = {"gallery": "g"} | wanted
        return [str(job.source) for job in search.jobs(jobs.engine, Filter(**wanted))]

    return found


@pytest.fixture
def claim(jobs):
    def claim(queue: str = CLASSIFY):
        worker_rows.heartbeat(jobs.engine, "w", "host", 1, [queue], "cpu")
        return jobs.claim("w", [queue], child=os.getpid(), seconds=300, seconds_per_megapixel=60)

    return claim


def test_an_empty_database_counts_each_status_and_decision(jobs):
    counts = status.summary(jobs.engine).counts
    assert counts.jobs == dict.fromkeys(Status, 0)
    assert counts.decisions == dict.fromkeys(Decision, 0)
    assert (counts.troubles, counts.oldest_waiting) == ([], None)


def test_the_counts_tell_status_decision_gallery_and_trouble(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": "1" for n in range(6)})
    galleries.add(jobs.engine, "other", Path(), {"x.jpg": "1"})
    jobs.finish(claim(), Decision.CLEAN)
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image either")
    jobs.end_with_error(claim(), ErrorKind.DISK_FULL, "no room", pause_seconds=3600)
    claim()
    counts = status.summary(jobs.engine).counts
    assert counts.jobs == {
        Status.QUEUED: 3, Status.RUNNING: 1, Status.DONE: 1, Status.FAILED: 2, Status.CANCELLED: 0,
    }  # fmt: skip
    assert counts.decisions[Decision.CLEAN] == 1
    assert counts.galleries["other"][Status.QUEUED] == 1
    assert [(t.status, t.kind, t.count, t.latest) for t in counts.troubles] == [
        (Status.FAILED, ErrorKind.UNREADABLE, 2, 3),
        (Status.QUEUED, ErrorKind.DISK_FULL, 1, 4),
    ]


def test_the_summary_has_what_runs_what_waits_longest_and_an_example_of_each_trouble(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    running = claim()
    seen = status.summary(jobs.engine)
    assert [job.id for job in seen.running] == [running.id]
    assert seen.counts.oldest_waiting == 3
    assert seen.examples[3].name == Path("c.jpg")
    assert seen.examples[seen.counts.troubles[0].latest].error == "no image"
    assert [worker.id for worker in seen.workers] == ["w"]
    assert seen.left == 2


def test_the_pace_counts_what_was_finished_by_claims(jobs, claim):
    galleries.note_backlog(jobs.engine, "g", Path(), {"old.jpg": "1"})
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1"})
    jobs.finish(claim(), Decision.CLEAN)
    pace = status.summary(jobs.engine).pace
    assert pace.finished == 1
    assert Pace(30, 1800.0).per_hour == 60


def test_a_pause_that_ended_is_not_in_force(jobs):
    jobs.pause("all", seconds=-1)
    jobs.pause("category", "motion-blur", 60)
    assert [pause.name for pause in status.summary(jobs.engine).pauses] == ["motion-blur"]


def test_a_due_job_is_overdue_unless_it_is_paused(jobs):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    time.sleep(0.05)
    assert status.overdue(jobs.engine, 0.01) == [CLASSIFY]
    assert status.overdue(jobs.engine, 60) == []
    jobs.pause("gallery", "g")
    assert status.overdue(jobs.engine, 0.01) == []


def test_jobs_are_found_by_folder_photo_and_pattern(jobs, sources):
    galleries.add(jobs.engine, "g", Path(), {"top.jpg": "1", ODD: "1"})
    galleries.add(jobs.engine, "g", Path("2024"), {"a.jpg": "1"})
    galleries.add(jobs.engine, "g", Path("2024/may"), {"b.jpg": "1"})
    galleries.add(jobs.engine, "g", Path("2024-old"), {"c.jpg": "1"})
    assert sources(below=Path("2024")) == ["2024/may/b.jpg", "2024/a.jpg"]
    assert sources(below=Path("2024/a.jpg")) == ["2024/a.jpg"]
    assert sources(below=Path(ODD)) == [ODD]
    assert len(sources(below=Path())) == 5
    assert sources(pattern="*/?.jpg") == ["2024-old/c.jpg", "2024/may/b.jpg", "2024/a.jpg"]
    for pattern in ("2024*y/b.???", "[!/]*/c.jpg", "*4-old/[a-c].jpg", "?afé.jpg"):
        matching = [source for source in sources() if fnmatch.fnmatchcase(source, pattern)]
        assert sources(pattern=pattern) == matching
    assert sources(pattern=ODD) == [ODD]
    assert sources(gallery="other") == []


def test_jobs_are_found_by_what_became_of_them(jobs, claim, sources):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    jobs.classify(claim(), Category.REFLECTION, {})
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    jobs.finish(claim(), Decision.UNSURE)
    assert sources(category=Category.REFLECTION) == ["a.jpg"]
    assert sources(kind=ErrorKind.UNREADABLE) == ["b.jpg"]
    assert sources(decision=Decision.UNSURE) == ["c.jpg"]
    assert sources(status=[Status.QUEUED, Status.FAILED]) == ["b.jpg", "a.jpg"]
    assert sources(older_seconds=60) == []
    assert len(sources(younger_seconds=60)) == 3


def test_a_limit_takes_the_newest(jobs):
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": "1" for n in range(5)})
    for pattern in (None, "*"):
        assert search.ids(jobs.engine, Filter(pattern=pattern), 2) == [5, 4]


def test_versions_of_a_photo_come_newest_first_and_its_result_names_its_maker(jobs, claim):
    galleries.add(jobs.engine, "g", Path("a"), {"x.jpg": "1"})
    jobs.record(claim(), Path("a/x.jpg"), "hash", {})
    galleries.add(jobs.engine, "g", Path("a"), {"x.jpg": "2"})
    assert [job.id for job in search.versions(jobs.engine, "g", Path("a/x.jpg"))] == [2, 1]
    assert [job.id for job in search.makers(jobs.engine, "g", Path("a/x.jpg"))] == [1]


def test_the_history_of_a_job_is_in_order(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    jobs.finish(claim(), Decision.CLEAN)
    events = [event.event for event in search.events(jobs.engine, 1)]
    assert events[0].startswith("claimed by w")
    assert events[-1] == "clean"


def test_up_once_waits_for_the_scan_and_for_jobs_that_can_go_on_by_themselves(jobs, claim):
    engine, begun = jobs.engine, status.clock(jobs.engine)
    assert remaining.under_way(engine, ["g"], since=begun)
    galleries.note(
        engine, "g", host="h", root=Path("/g"), output=Path("/o"), filesystem="ext4",
        watching="events", online=True, scanned_at=begun,
    )  # fmt: skip
    assert not remaining.under_way(engine, ["g"], since=begun)
    galleries.add(engine, "g", Path(), {"a.jpg": "1"})
    assert remaining.under_way(engine, ["g"], since=begun)
    for scope in (("all", ""), ("gallery", "g"), ("category", "classify")):
        jobs.pause(*scope)
        assert not remaining.under_way(engine, ["g"], since=begun)
        jobs.pause(*scope, seconds=0)  # it has expired
        assert remaining.under_way(engine, ["g"], since=begun)
    assert not jobs.resume("all")
    galleries.note(engine, "g", online=False)
    assert not remaining.under_way(engine, ["g"], since=begun)
    galleries.note(engine, "g", online=True)
    jobs.end_with_error(claim(), ErrorKind.DISK_FULL, "no room", pause_seconds=3600)
    assert not remaining.under_way(engine, ["g"], since=begun)
    jobs.retry([1])
    assert remaining.under_way(engine, ["g"], since=begun)


def test_up_names_what_still_waits_and_why(jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    galleries.add(jobs.engine, "other", Path(), {"x.jpg": "1"})
    for _ in range(2):
        jobs.end_with_error(claim(), ErrorKind.DISK_FULL, "no room", pause_seconds=3600)
    galleries.note(
        jobs.engine, "g", host="h", root=Path("/g"), output=Path("/o"), filesystem="nfs4",
        watching="polling", online=False, reason="not mounted",
    )  # fmt: skip
    waiting = remaining.left_waiting(jobs.engine, ["g"])
    assert waiting.offline == [("g", "not mounted")]
    new, full = sorted(waiting.jobs, key=lambda found: found.count)
    assert (new.kind, new.count, new.error, new.until) == (None, 1, None, None)
    assert (full.kind, full.count, full.error) == (ErrorKind.DISK_FULL, 2, "no room")
    assert full.until == pytest.approx(status.clock(jobs.engine) + 3600, abs=60)
    holds.hold_gallery(jobs.engine, "g", ErrorKind.DISK_FULL, "no room", least_seconds=300)
    new, _ = sorted(remaining.left_waiting(jobs.engine, ["g"]).jobs, key=lambda found: found.count)
    assert new.until == pytest.approx(status.clock(jobs.engine) + 300, abs=60)
    assert waiting and not remaining.left_waiting(jobs.engine, ["none"])


def test_up_reads_the_jobs_that_ended_and_those_that_run(jobs, claim):
    galleries.add(jobs.engine, "g", Path("2024"), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    begun = status.clock(jobs.engine)
    jobs.finish(claim(), Decision.CLEAN)
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    claim()
    ended = status.ended_since(jobs.engine, begun)
    assert [job.status for job in ended] == [Status.DONE, Status.FAILED]
    assert status.ended_since(jobs.engine, status.clock(jobs.engine) + 60) == []
    counts, running = status.progress(jobs.engine)
    assert (counts[Status.RUNNING], counts[Status.QUEUED]) == (1, 0)
    assert running == [Path("2024/c.jpg")]


@pytest.fixture
def plans(jobs):
    """Return how SQLite finds the jobs in each statement of a call."""
    if jobs.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by what it knows of the rows")

    def of(call: Callable[[], object]) -> list[str]:
        found = []
        log = lambda *args: found.append((args[2], args[3]))
        sa.event.listen(jobs.engine, "before_cursor_execute", log)
        call()
        sa.event.remove(jobs.engine, "before_cursor_execute", log)
        with jobs.engine.connect() as connection:
            return [
                row[3]
                for statement, values in found
                if "jobs" in statement and not statement.startswith("INSERT")
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                if "jobs" in row[3] or "TEMP" in row[3]
            ]

    return of


ONE_GROUP = "ix_jobs_urgent (status=? AND queue=? AND gallery=? AND rank=?)"


def test_a_claim_reads_no_job_that_waits_behind_the_first_of_its_group(jobs, claim, plans):
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": "1" for n in range(9)})
    galleries.add(jobs.engine, "away", Path(), {f"{n}.jpg": "1" for n in range(9)})
    found = plans(claim)
    assert sum(ONE_GROUP in plan for plan in found) >= 3
    assert not [plan for plan in found if "SCAN jobs" in plan or "queue=?)" in plan]
    sorts = [plan for plan in found if "TEMP" in plan]  # of the groups
    assert sorts == [f"USE TEMP B-TREE FOR {what} BY" for what in ("GROUP", "ORDER")]


def test_a_summary_reads_no_job_but_those_it_shows(jobs, claim, plans):
    galleries.add(jobs.engine, "g", Path(), {f"{n}.jpg": "1" for n in range(9)})
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    found = plans(lambda: status.summary(jobs.engine))
    assert any("ix_jobs_kind (error_kind=? AND status=?)" in plan for plan in found)
    assert not [plan for plan in found if "SCAN" in plan]


def test_a_page_of_jobs_is_found_in_the_order_of_ids(jobs, plans):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    for wanted in (
        {"gallery": "g"}, {"status": [Status.QUEUED]}, {"decision": Decision.CLEAN},
        {"category": Category.REFLECTION}, {"oversized": True},
    ):  # fmt: skip
        found = plans(lambda wanted=wanted: search.ids(jobs.engine, Filter(**wanted), 50))
        assert found and not [plan for plan in found if "TEMP" in plan]


def test_photos_below_a_folder_are_found_by_it(jobs, plans):
    below = Filter(gallery="g", below=Path("2024"))
    found = plans(lambda: search.ids(jobs.engine, below, 50))
    assert sum("(gallery=? AND folder" in plan for plan in found) == 3


def test_a_pattern_is_tested_by_the_database_first(jobs):
    galleries.add(jobs.engine, "g", Path("2024"), {f"{n}.jpg": "1" for n in range(9)})
    read = []
    sa.event.listen(jobs.engine, "before_cursor_execute", lambda *args: read.append(args[2:4]))
    assert search.ids(jobs.engine, Filter(pattern="2*/none-*.jpg")) == []
    with jobs.engine.connect() as connection:
        assert connection.exec_driver_sql(*read[-1]).all() == []


def test_a_scan_looks_for_older_versions_in_the_folder_alone(jobs, plans):
    call = functools.partial(galleries.add, jobs.engine, "g", Path())
    call({"a.jpg": "1"})
    found = plans(lambda: call({"a.jpg": "2"}))
    assert found and not [plan for plan in found if "ix_jobs_status" in plan]


def test_copies_that_are_larger_than_the_rule_are_counted_while_they_exist(jobs, claim, sources):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    for name, copy in (("a", {"larger_than_the_rule": "it is lossless"}), ("b", {}), ("c", None)):
        claimed = claim()
        if copy is not None:
            jobs.record(claimed, Path(f"{name}.jpg"), name, {"copy": copy})
        jobs.finish(claimed, Decision.RESTORED if copy is not None else Decision.CLEAN)
    assert status.summary(jobs.engine).counts.oversized == 1
    assert sources(oversized=True) == ["a.jpg"]
    jobs.forget_output(search.get(jobs.engine, 1))
    assert status.summary(jobs.engine).counts.oversized == 0
