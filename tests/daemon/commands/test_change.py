"""What `retry`, `reject` and `forget` take, and what they leave, on a real database."""

import json
import os
import socket
from pathlib import Path

from storage.database import galleries, search
from storage.enums import (
    ASKED_FOR,
    CLASSIFY,
    NEW_PHOTO,
    RETRIED,
    Decision,
    ErrorKind,
    Status,
)


def test_a_retry_of_an_old_version_takes_the_newest(read, jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1"})
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "2"})
    jobs.finish(claim(), Decision.CLEAN)
    assert read("retry", "--failed") == []
    assert [job["id"] for job in read("retry", 1)] == [2]
    jobs.finish(claim(), Decision.CLEAN)
    assert [job["id"] for job in read("retry", 1, 2, "gallery/a.jpg")] == [2]
    jobs.finish(claim(), Decision.CLEAN)
    assert [job["id"] for job in read("retry", "gallery")] == [2]


def test_a_retry_of_all_takes_no_old_photos_and_comes_after_new_ones(read, jobs, home, claim):
    for name in ("old.jpg", "done.jpg", "gone.jpg", "new.jpg", "taken.jpg"):
        (home / "gallery" / name).touch()
    galleries.add(jobs.engine, "g", Path(), {"done.jpg": "1", "gone.jpg": "1"})
    galleries.note_backlog(jobs.engine, "g", Path(), {"old.jpg": "1"})
    for _ in range(2):
        jobs.finish(claim(), Decision.CLEAN)
    galleries.note_gone(jobs.engine, "g", Path(), ["gone.jpg"])
    for words in (("--all",), ("gallery",), ("--all", "--from-scratch")):
        retried = read("retry", *words)
        assert [(job["source"], job["rank"]) for job in retried] == [("done.jpg", RETRIED)]
        galleries.add(jobs.engine, "g", Path(), {"new.jpg": words[-1]})
        new = claim()
        assert (new.name, new.rank) == (Path("new.jpg"), NEW_PHOTO)
        jobs.finish(new, Decision.CLEAN)
        jobs.finish(claim(), Decision.CLEAN)
        jobs.cancel([new.id])
        galleries.note_gone(jobs.engine, "g", Path(), ["new.jpg"])
    [old] = read("retry", "gallery/old.jpg")
    assert (old["status"], old["rank"]) == (Status.QUEUED, ASKED_FOR)


def test_a_reject_that_removes_nothing_is_an_error_but_the_others_are_rejected(
    run, jobs, home, mended
):
    (home / "output/cat.jpg").write_bytes(b"painted over")
    assert "0 jobs are rejected" in run("reject", 1, code=1).stdout
    (home / "output/cat.jpg").unlink()
    run("reject", 1)
    assert search.get(jobs.engine, 1).decision is Decision.KEPT_ORIGINAL


def test_a_named_job_that_is_not_changed_is_told_with_its_status(run, jobs, claim):
    galleries.add(jobs.engine, "g", Path(), {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1"})
    jobs.finish(claim(), Decision.CLEAN)
    claim()
    stays = "photomend: job {} is {}, so it stays as it is: {}\n".format
    retried = run("retry", 2, 3)
    assert retried.stderr == stays(2, "running", "b.jpg") + stays(3, "queued", "c.jpg")
    assert retried.stdout == "0 jobs are queued again\n"
    cancelled = run("cancel", 1, 3)
    assert cancelled.stderr == stays(1, "done", "a.jpg")
    assert cancelled.stdout == "job 3 is cancelled: c.jpg\n"
    assert run("cancel", 3).stderr == stays(3, "cancelled", "c.jpg")
    rejected = run("reject", 2, code=1).stderr
    assert "2 has no result: job 2 is running; see `photomend show 2`" in rejected


def note(jobs, name: str, root: Path, **columns: object) -> None:
    where = {"host": socket.gethostname(), "root": root, "output": root.with_name("output")}
    state = {"filesystem": "ext4", "watching": "events", "online": True}
    galleries.note(jobs.engine, name, **where, **state, **columns)


def test_a_gallery_that_left_the_settings_leaves_the_status_and_can_be_forgotten(
    run, read, jobs, home
):
    for name in ("g", "nas", "/srv/photos"):
        note(jobs, name, home / "gallery")
        galleries.add(jobs.engine, name, Path(), {"a.jpg": "1", "b.jpg": "1"})
    shown = read("status")
    assert [gallery["name"] for gallery in shown["galleries"]] == ["g", "/srv/photos"]
    assert shown["jobs"]["queued"] == 4
    assert "nas" not in run("status").stdout
    galleries.leave(jobs.engine, ["g"])
    assert [gallery["name"] for gallery in read("status")["galleries"]] == ["g"]
    assert "srv" not in run("status", "--check", code=1).stdout
    assert search.due(jobs.engine, CLASSIFY, 10) == [1, 2]
    assert "is in the settings" in run("forget", "g", code=2).stderr
    assert "with 2 jobs" in run("forget", "nas").stdout
    assert "there is no gallery nas" in run("forget", "nas", code=1).stderr
    run("pause", "--gallery", "/srv/photos")
    run("forget", "/srv/photos")
    assert search.ids(jobs.engine, search.Filter()) == [2, 1]
    assert read("status")["pauses"] == []
    values = json.loads(os.environ["PHOTOMEND_GALLERIES"]) | {"nas": {"path": str(home / "x")}}
    note(jobs, "nas", home / "x")
    both = run("status", "--json", PHOTOMEND_GALLERIES=json.dumps(values)).stdout
    assert len(json.loads(both)["galleries"]) == 2


def test_a_row_that_names_a_file_outside_of_the_output_removes_nothing(run, jobs, home, mended):
    victims = [home / "victim.jpg", home / "output/linked/victim.jpg"]
    (home / "elsewhere").mkdir()
    (home / "output/linked").symlink_to("../elsewhere")
    for path, victim in zip(("../victim.jpg", "linked/victim.jpg"), victims, strict=True):
        victim.write_bytes(b"result")
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE jobs SET output = ?", (os.fsencode(path),))
        ended = run("reject", 1, code=1)
        assert "does not name a file below" in ended.stderr or "symbolic link" in ended.stderr
        assert victim.read_bytes() == b"result"
