"""What the watcher writes: the backlog, ignored photos, those that vanish and come, and processes."""

import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import backlog, galleries, pauses, processes, search
from storage.database.galleries import BACKLOG_REASON, CANCELLED_BY_OWNER, IGNORED
from storage.database.tables import processes as process_table
from storage.enums import BACKLOG, Decision, ErrorKind, Status

OLD, NEW = "7-1600000000000000000-1", "7-1700000000000000000-2"
SINCE = 1_650_000_000.0
FOLDER = Path("2024")


@pytest.fixture
def newest(jobs):
    """Return the newest job of a photo of the folder."""
    return lambda name: galleries.versions(jobs.engine, "g", FOLDER, [name])[name][0]


@pytest.fixture
def note(jobs):
    def write(name: str, **columns: object) -> None:
        row = {
            "host": socket.gethostname(), "root": Path("/g"), "output": Path("/o"),
            "filesystem": "ext4", "watching": "events", "online": True,
        }  # fmt: skip
        galleries.note(jobs.engine, name, **(row | columns))

    return write


def test_the_backlog_is_widened_and_narrowed_by_the_mtimes_of_its_photos(jobs, newest):
    galleries.note_backlog(jobs.engine, "g", FOLDER, {"old.jpg": OLD, "new.jpg": NEW})
    galleries.note_backlog(jobs.engine, "g", Path(), {"other.jpg": NEW})
    assert backlog.widen(jobs.engine, "g", SINCE, FOLDER) == 1
    assert (newest("new.jpg").status, newest("new.jpg").rank) == (Status.QUEUED, BACKLOG)
    assert newest("old.jpg").reason == BACKLOG_REASON
    assert backlog.widen(jobs.engine, "g", 0.0) == 2
    assert backlog.narrow(jobs.engine, "g", SINCE) == 1
    assert (newest("old.jpg").status, newest("old.jpg").reason) == (Status.DONE, BACKLOG_REASON)


def test_what_is_ignored_is_left_alone_until_it_is_shown_again(jobs, newest):
    galleries.add(jobs.engine, "g", FOLDER, {"queued.jpg": "1", "100%_.jpg": "1"})
    galleries.note_backlog(jobs.engine, "g", FOLDER, {"old.jpg": OLD})
    assert backlog.leave(jobs.engine, "g", FOLDER, {"queued.jpg": "a rule"}) == 1
    assert backlog.leave_folder(jobs.engine, "g", FOLDER, "50% of all") == 1
    assert newest("queued.jpg").reason == IGNORED + "a rule"
    assert newest("100%_.jpg").reason == newest("old.jpg").reason == IGNORED + "50% of all"
    assert newest("100%_.jpg").decision is Decision.LEFT_ALONE
    [(folder, names)] = backlog.ignored(jobs.engine, "g").items()
    assert (folder, sorted(names)) == (FOLDER, ["100%_.jpg", "old.jpg", "queued.jpg"])
    backlog.show(jobs.engine, "g", FOLDER, ["old.jpg", "queued.jpg"])
    assert newest("old.jpg").reason == newest("queued.jpg").reason == BACKLOG_REASON
    assert backlog.ignored(jobs.engine, "g") == {FOLDER: ["100%_.jpg"]}


def test_a_vanished_photo_is_found_by_size_and_mtime_or_else_by_its_size(jobs, newest):
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": OLD, "b.jpg": NEW, "c.jpg": "77-5-1"})
    asked = {"x.jpg": NEW, "b.jpg": "7-5-3", "none.jpg": "70-5-1"}
    assert galleries.vanished(jobs.engine, asked) == {}
    assert galleries.note_gone(jobs.engine, "g", FOLDER, ["a.jpg", "b.jpg"]) == 2
    found = galleries.vanished(jobs.engine, asked)
    assert {name: [str(job.name) for job in jobs] for name, jobs in found.items()} == {
        "x.jpg": ["b.jpg"], "b.jpg": ["b.jpg", "a.jpg"],
    }  # fmt: skip
    galleries.adopt(jobs.engine, "h", Path("there"), [(found["x.jpg"][0], "x.jpg", NEW)])
    galleries.adopt(jobs.engine, "g", FOLDER, [(newest("a.jpg"), "c.jpg", "77-5-1")])
    moved = search.get(jobs.engine, 2)
    assert (moved.gallery, moved.source, moved.gone_at) == ("h", Path("there/x.jpg"), None)
    assert newest("c.jpg").id == 3, "its name and fingerprint were taken"


def test_a_photo_that_was_filled_is_queued_again_with_its_rank(jobs, claim):
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1"}, rank=BACKLOG)
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    galleries.queue_filled(jobs.engine, [1])
    assert (search.get(jobs.engine, 1).status, search.get(jobs.engine, 1).rank) == (
        Status.QUEUED, BACKLOG,
    )  # fmt: skip


def test_a_gallery_that_left_is_forgotten_with_all_its_rows(jobs, note):
    note("g")
    note("far", host="another machine")
    galleries.add(jobs.engine, "g", FOLDER, {"a.jpg": "1", "b.jpg": "1"})
    jobs.cancel([2])
    assert search.get(jobs.engine, 2).error == CANCELLED_BY_OWNER
    jobs.pause("gallery", "g")
    left = ["g"] if jobs.engine.dialect.name == "postgresql" else ["far", "g"]
    assert sorted(galleries.leave(jobs.engine, ["h"])) == left
    assert galleries.leave(jobs.engine, ["h"]) == []
    assert not galleries.get(jobs.engine, "g").online
    assert galleries.folders(jobs.engine, "g") == {"2024"}
    assert galleries.forget(jobs.engine, "g") == 2
    assert galleries.forget(jobs.engine, "g") is None
    with jobs.engine.connect() as connection:
        assert pauses.lasting(connection) == []


def test_processes_beat_note_their_trouble_and_end(jobs):
    def rows() -> dict[str, str | None]:
        with jobs.engine.connect() as connection:
            columns = process_table.c.name, process_table.c.trouble
            return dict(connection.execute(sa.select(*columns)).all())

    processes.heartbeat(jobs.engine, processes.WATCHER, processes.MAINTENANCE)
    processes.note_trouble(jobs.engine, "worker-1", "it died")
    processes.heartbeat(jobs.engine, processes.WATCHER)
    assert rows() == {"watcher": None, "maintenance": None, "worker-1": "it died"}
    processes.begin(jobs.engine, 60)
    assert rows() == {"worker-1": "it died"}
    processes.remove(jobs.engine, ["worker-1"])
    assert rows() == {}
