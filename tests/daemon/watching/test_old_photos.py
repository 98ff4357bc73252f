"""What is new to a gallery: only what arrived. With real files and a watcher of real processes."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import filesystems
from storage.database import galleries, search, status
from storage.database.galleries import BACKLOG_REASON, CANCELLED_BY_OWNER, IGNORED
from storage.enums import BACKLOG, NEW_PHOTO, Category, Decision, Status

pytestmark = pytest.mark.slow

HOUR_NS = 3600 * 10**9
PHOTOS = {
    "2023/summer/a.jpg": b"a",
    "2023/summer/b.jpg": b"bb",
    "2023/c.jpg": b"ccc",
    "d.jpg": b"d",
}
"""The old photos of the gallery, of different sizes where they are renamed."""


def put(path: Path, data: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def old(gallery: Path) -> Path:
    """A gallery with old photos whose mtimes are those of an old camera."""
    for number, (name, data) in enumerate(PHOTOS.items()):
        os.utime(put(gallery / name, data), ns=(1, 1_600_000_000_123_456_789 + number * 10**10))
    return gallery


@pytest.fixture
def looked_at(watching, rows, jobs, gallery, eventually) -> Callable[..., dict[str, Status]]:
    """Change the gallery while it is watched, or while it is not; return what is not left alone."""

    def look(change: Callable[[], object], *, running: bool, **settings: object):
        settings = {"backlog": "new"} | settings
        watched = watching(**settings)
        eventually(lambda: (row := galleries.get(jobs.engine, "g")) and row.scanned_at)
        if not running:
            watched.stop()
        change()
        if not running:
            watched = watching(**settings)
        since = status.clock(jobs.engine)
        put(gallery / "arrived/new.jpg", b"a new photo")
        eventually(lambda: "arrived/new.jpg" in rows())
        watched.stop()
        scan_all_again(since)
        assert rows()["arrived/new.jpg"].status is Status.QUEUED
        return {
            name: job.status
            for name, job in rows().items()
            if job.decision is not Decision.LEFT_ALONE and name != "arrived/new.jpg"
        }

    def scan_all_again(since: float) -> None:
        watched = watching(backlog="new")
        eventually(lambda: (galleries.get(jobs.engine, "g").scanned_at or 0) > since)
        time.sleep(1.2)  # longer than a photo takes to settle
        watched.stop()

    return look


def rename(path: Path, name: str) -> Callable[[], object]:
    return lambda: path.rename(path.with_name(name))


def new_disk(gallery: Path) -> None:
    """Copy the gallery with its times, as to a new disk: all inodes are others."""
    shutil.copytree(gallery, gallery.with_name("disk"), symlinks=True)
    shutil.rmtree(gallery)
    gallery.with_name("disk").rename(gallery)


def move_into(folder: Path, other: Path) -> None:
    other.mkdir()
    folder.rename(other / folder.name)


def shift(gallery: Path, ns: int, step_ns: int = 1) -> None:
    for path in gallery.rglob("*.jpg"):
        mtime = path.stat().st_mtime_ns
        os.utime(path, ns=(1, (mtime + ns) // step_ns * step_ns))


def tag(path: Path, *, in_place: bool) -> None:
    """Write metadata: the file grows and is written anew, in place or as another file."""
    data = path.read_bytes() + b"tag"
    if not in_place:
        path = put(path.with_name("tagged.tmp"), data)
        path.rename(path.with_name("c.jpg"))
    path.write_bytes(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a folder is renamed": lambda g: (g / "2023").rename(g / "holidays"),
    "a folder is moved into another": lambda g: move_into(g / "2023", g / "x"),
    "an inner folder is renamed": lambda g: (g / "2023/summer").rename(g / "2023/july"),
    "a photo is renamed": lambda g: (g / "2023/summer/b.jpg").rename(g / "2023/summer/beach.jpg"),
    "a photo is moved": lambda g: (g / "2023/summer/b.jpg").rename(g / "b.jpg"),
    "mtimes move by an hour": lambda g: shift(g, HOUR_NS),
    "mtimes move by an hour on FAT": lambda g: shift(g, -HOUR_NS, 2 * 10**9),
    "a photo is tagged in place": lambda g: tag(g / "2023/c.jpg", in_place=True),
    "a photo is tagged by another file": lambda g: tag(g / "2023/c.jpg", in_place=False),
    "a photo gets another mtime": lambda g: os.utime(g / "2023/c.jpg"),
    "a photo gets other rights": lambda g: (g / "2023/c.jpg").chmod(0o600),
}


@pytest.mark.parametrize("running", [True, False], ids=["watched", "not watched"])
@pytest.mark.parametrize("change", CHANGES)
def test_old_photos_stay_old_when(looked_at, old, change, running):
    # watchdog waits half a second for the second half of a move, and reports it as removed then.
    moves = {"SETTLE_SECONDS": 1.0}
    assert looked_at(lambda: CHANGES[change](old), running=running, **moves) == {}


@pytest.mark.parametrize("change", ["a folder is renamed", "a photo is moved"])
def test_old_photos_stay_old_in_a_gallery_that_is_polled_when(looked_at, old, change):
    how = {"watch": "polling", "rescan_seconds": 0.5}
    assert looked_at(lambda: CHANGES[change](old), running=True, **how) == {}


def test_old_photos_stay_old_on_a_new_disk(looked_at, old):
    assert looked_at(lambda: new_disk(old), running=False) == {}


def test_old_photos_stay_old_on_a_new_disk_of_another_kind(looked_at, old):
    def fat() -> None:
        new_disk(old)
        shift(old, 2 * HOUR_NS, 2 * 10**9)
        (old / "2023/summer").rename(old / "2023/july")

    assert looked_at(fat, running=False) == {}


def test_old_photos_stay_old_when_they_leave_and_come_back(
    watching, scanned, rows, old, eventually
):
    watching(backlog="new")
    scanned()
    (old / "2023").rename(old.parent / "trash")
    eventually(lambda: rows()["2023/c.jpg"].gone_at)
    (old.parent / "trash").rename(old / "restored")
    eventually(lambda: "restored/c.jpg" in rows())
    assert {job.status for job in rows().values()} == {Status.DONE}


def test_an_old_photo_that_is_restored_from_a_backup_without_its_mtime_stays_old(
    watching, scanned, rows, old, eventually
):
    watching(backlog="new")
    scanned()
    data = (old / "2023/c.jpg").read_bytes()
    (old / "2023/c.jpg").unlink()
    eventually(lambda: rows()["2023/c.jpg"].gone_at)
    put(old / "2023/c.jpg", data)
    eventually(lambda: rows()["2023/c.jpg"].gone_at is None)
    assert rows()["2023/c.jpg"].decision is Decision.LEFT_ALONE


@pytest.mark.parametrize("running", [True, False], ids=["watched", "not watched"])
@pytest.mark.parametrize("place", ["d.jpg", "2023/"])
def test_old_photos_stay_old_when_a_line_of_an_ignore_file_is_taken_out(
    looked_at, old, place, running
):
    put(old / ".photomendignore", place.encode())
    assert looked_at((old / ".photomendignore").unlink, running=running) == {}


def test_old_photos_stay_old_when_an_ignore_setting_is_taken_out(
    watching, scanned, rows, jobs, old, eventually
):
    watched = watching(backlog="new", ignore=["2023/", "d.jpg"])
    scanned()
    watched.stop()
    assert rows() == {}
    watching(ignore=[])
    eventually(lambda: rows().keys() == PHOTOS.keys())
    put(old / "2023/new.jpg")
    eventually(lambda: "2023/new.jpg" in rows())
    assert rows().pop("2023/new.jpg").status is Status.QUEUED
    assert {rows()[name].decision for name in PHOTOS} == {Decision.LEFT_ALONE}


def test_old_photos_stay_old_if_the_clock_was_behind_on_the_first_day(
    watching, scanned, rows, old, monkeypatch, tmp_path
):
    clock = "import time\nreal = time.time\ntime.time = lambda: real() - 400 * 86400\n"
    put(tmp_path / "site/sitecustomize.py", clock.encode())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    watching(backlog="new")
    scanned()
    assert {job.decision for job in rows().values()} == {Decision.LEFT_ALONE}
    assert rows().keys() == PHOTOS.keys()


def test_old_photos_stay_old_when_the_gallery_becomes_the_folder_above(
    watching, scanned, rows, jobs, old, eventually
):
    watched = watching(backlog="new", path=str(old / "2023/summer"))
    scanned()
    watched.stop()
    galleries.note(jobs.engine, "g", identity=None)  # as if its owner had accepted the new folder
    for name in ("a.jpg", "b.jpg"):
        galleries.note_gone(jobs.engine, "g", Path(), [name])
    watching(path=str(old))
    eventually(lambda: rows().keys() >= PHOTOS.keys())
    scanned()
    assert {rows()[name].decision for name in PHOTOS} == {Decision.LEFT_ALONE}


def test_old_photos_stay_old_if_their_disk_is_mounted_after_the_first_scan(
    watching, scanned, rows, old, eventually
):
    old.rename(old.parent / "library")
    old.mkdir()
    watching(backlog="new", IO_TIMEOUT_SECONDS=4)
    scanned()
    old.rmdir()
    (old.parent / "library").rename(old)
    eventually(lambda: rows().keys() == PHOTOS.keys())
    assert {job.decision for job in rows().values()} == {Decision.LEFT_ALONE}
    put(old / "2023/new.jpg", b"new")
    eventually(lambda: "2023/new.jpg" in rows())
    assert rows()["2023/new.jpg"].status is Status.QUEUED


def test_what_is_on_another_disk_that_its_owner_accepts_is_old(
    watching, scanned, rows, jobs, old, eventually
):
    watched = watching(backlog="new")
    scanned()
    watched.stop()
    old.rename(old.parent / "replaced")
    put(old / "other/x.jpg", b"another library")
    galleries.note(jobs.engine, "g", identity=filesystems.identity(str(old)))
    watching()
    eventually(lambda: "other/x.jpg" in rows())
    put(old / "other/new.jpg", b"new")
    eventually(lambda: "other/new.jpg" in rows())
    assert rows()["other/x.jpg"].decision is Decision.LEFT_ALONE
    assert rows()["other/new.jpg"].status is Status.QUEUED


def test_a_gallery_stays_online_while_another_watcher_does_not_have_it(
    watching, scanned, jobs, gallery, eventually, capfd
):
    watching(IO_TIMEOUT_SECONDS=4)
    scanned()
    assert galleries.leave(jobs.engine, []) == ["g"]
    eventually(lambda: galleries.get(jobs.engine, "g").online)


def test_what_arrives_is_new_wherever_it_comes_from(watching, scanned, rows, old, eventually):
    watching(backlog="new")
    scanned()
    elsewhere = put(old.parent / "elsewhere/x.jpg", b"elsewhere")
    os.utime(elsewhere, (1, 1_500_000_000))
    elsewhere.parent.rename(old / "2023/moved in")
    shutil.copy2(old / "d.jpg", old / "copy.jpg")
    (old / "2023/c.jpg").unlink()
    eventually(lambda: rows()["2023/c.jpg"].gone_at)
    put(old / "2023/c.jpg", b"another photo with the name of an old one")
    wanted = {"2023/moved in/x.jpg", "copy.jpg", "2023/c.jpg"}
    eventually(lambda: {n for n, j in rows().items() if j.status is Status.QUEUED} == wanted)


def test_a_new_photo_in_a_renamed_folder_is_new(watching, scanned, rows, old, eventually):
    watching(backlog="new")
    scanned()
    (old / "2023").rename(old / "holidays")
    put(old / "holidays/new.jpg", b"new")
    eventually(lambda: rows().keys() >= {"holidays/new.jpg", "holidays/c.jpg"})
    queued = {name for name, job in rows().items() if job.status is Status.QUEUED}
    assert queued == {"holidays/new.jpg"}


@pytest.mark.parametrize("change", ["a folder is renamed", "a photo is tagged in place"])
def test_a_cancelled_photo_stays_cancelled_when(
    looked_at, watching, scanned, rows, jobs, old, change
):
    watched = watching(backlog="all")
    scanned()
    watched.stop()
    jobs.cancel([job.id for job in rows().values()])
    found = looked_at(lambda: CHANGES[change](old), running=False, backlog="all")
    assert set(found.values()) == {Status.CANCELLED}
    assert {job.error for name, job in rows().items() if name in found} == {CANCELLED_BY_OWNER}


def test_an_old_photo_that_moves_is_what_the_rules_of_its_new_place_say(
    watching, scanned, rows, old, eventually, monkeypatch
):
    whole = put(old.parent / "whole/x.jpg").parent
    monkeypatch.setenv("PHOTOMEND_SETTLE_SECONDS", "1.5")
    others = {"whole": {"path": str(whole), "backlog": "all"}}
    watched = watching(others, backlog="new")
    scanned()
    put(old / ".photomendignore", b"/2023/summer/a.jpg")
    eventually(lambda: rows()["2023/summer/a.jpg"].reason.startswith(IGNORED))
    (old / "2023/summer/a.jpg").rename(old / "a.jpg")
    (old / "d.jpg").rename(whole / "d.jpg")
    eventually(lambda: rows()["d.jpg"].gallery == "whole" and "a.jpg" in rows())
    watched.stop()
    assert rows()["a.jpg"].reason == BACKLOG_REASON
    assert (rows()["d.jpg"].status, rows()["d.jpg"].rank) == (Status.QUEUED, BACKLOG)


def test_a_photo_that_moves_while_it_waits_as_backlog_waits_by_the_rule_of_its_new_gallery(
    watching, scanned, rows, old, eventually, monkeypatch
):
    fresh = put(old.parent / "fresh/x.jpg").parent
    monkeypatch.setenv("PHOTOMEND_SETTLE_SECONDS", "1.5")
    watching({"fresh": {"path": str(fresh), "backlog": "new"}}, backlog="all")
    scanned()
    eventually(lambda: "x.jpg" in rows())
    assert (rows()["d.jpg"].status, rows()["d.jpg"].rank) == (Status.QUEUED, BACKLOG)
    (old / "d.jpg").rename(fresh / "d.jpg")
    (old / "2023/c.jpg").rename(old / "c.jpg")
    eventually(lambda: rows()["d.jpg"].gallery == "fresh" and "c.jpg" in rows())
    assert (rows()["d.jpg"].status, rows()["d.jpg"].reason) == (Status.DONE, BACKLOG_REASON)
    assert (rows()["c.jpg"].status, rows()["c.jpg"].rank) == (Status.QUEUED, BACKLOG)


@pytest.mark.parametrize("how", ["watched", "polled", "not watched"])
def test_old_photos_stay_old_when_they_leave_a_folder_that_was_ignored_meanwhile(
    watching, scanned, rows, jobs, old, eventually, how
):
    settings = {"backlog": "new", "SETTLE_SECONDS": 1.5}
    if how == "polled":
        settings |= {"watch": "polling", "rescan_seconds": 0.5}
    watched = watching(**settings)
    scanned()
    put(old / ".photomendignore", b"summer/")
    eventually(lambda: rows()["2023/summer/a.jpg"].reason.startswith(IGNORED))
    if how == "not watched":
        watched.stop()
    (old / "2023/summer/a.jpg").rename(old / "a.jpg")
    (old / "2023/summer/b.jpg").unlink()
    if how == "not watched":
        watched = watching()
    eventually(lambda: "a.jpg" in rows() and rows()["2023/summer/b.jpg"].gone_at)
    assert "2023/summer/a.jpg" not in rows()
    eventually(lambda: rows()["a.jpg"].reason == BACKLOG_REASON)


@pytest.mark.parametrize("running", [True, False], ids=["watched", "not watched"])
@pytest.mark.parametrize("line", ["c.jpg", "2023/"])
def test_a_photo_that_is_ignored_while_it_waits_is_left_alone(
    watching, scanned, rows, old, eventually, line, running
):
    watched = watching(backlog="all")
    scanned()
    if not running:
        watched.stop()
    put(old / ".photomendignore", line.encode())
    if not running:
        watched = watching()
    eventually(lambda: rows()["2023/c.jpg"].decision is Decision.LEFT_ALONE)
    assert rows()["2023/c.jpg"].reason.startswith(IGNORED)
    assert rows()["d.jpg"].status is Status.QUEUED
    (old / ".photomendignore").unlink()
    eventually(lambda: rows()["2023/c.jpg"].status is Status.QUEUED)
    assert rows()["2023/c.jpg"].rank == BACKLOG


def test_an_ignore_setting_that_is_added_stops_what_is_queued(
    watching, scanned, rows, old, eventually
):
    watched = watching(backlog="all")
    scanned()
    watched.stop()
    watched = watching(ignore=["summer/", "d.jpg"])
    left = {"2023/summer/a.jpg", "2023/summer/b.jpg", "d.jpg"}
    eventually(lambda: {n for n, j in rows().items() if j.status is Status.DONE} == left)
    assert rows()["d.jpg"].reason == IGNORED + 'd.jpg is ignored by "d.jpg" in the settings'
    watched.stop()
    watching(ignore=[], backlog="new")
    eventually(lambda: {j.reason for n, j in rows().items()} == {BACKLOG_REASON})


def test_a_wider_backlog_queues_what_it_promises(watching, scanned, rows, old, eventually, capfd):
    os.utime(old / "d.jpg", (1, 1_700_000_000))
    watched = watching(backlog="new")
    scanned()
    watched.stop()
    assert {job.status for job in rows().values()} == {Status.DONE}
    watched = watching(backlog="since 2023-01-01")
    eventually(lambda: rows()["d.jpg"].status is Status.QUEUED)
    watched.stop()
    assert [n for n, j in rows().items() if j.status is Status.QUEUED] == ["d.jpg"]
    watched = watching(backlog="all")
    eventually(lambda: {j.status for j in rows().values()} == {Status.QUEUED})
    watched.stop()
    assert {job.rank for job in rows().values()} == {BACKLOG}
    watched = watching(backlog="new")
    eventually(lambda: {j.status for j in rows().values()} == {Status.DONE})
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(" has other settings: ")[2] for line in lines if "other" in line] == [
        f'backlog = "{before}", now "{now}"; {queued} photos of the backlog are queued, {left} left alone'
        for before, now, queued, left in (
            ("new", "since 2023-01-01", 1, 0), ("since 2023-01-01", "all", 3, 0), ("all", "new", 0, 4),
        )
    ]  # fmt: skip


def test_a_wider_backlog_queues_no_photo_that_is_ignored(watching, scanned, rows, old, eventually):
    watched = watching(backlog="new")
    scanned()
    watched.stop()
    watched = watching(ignore=["summer/"])
    summer = ("2023/summer/a.jpg", "2023/summer/b.jpg")
    eventually(lambda: all(rows()[name].reason.startswith(IGNORED) for name in summer))
    watched.stop()
    watched = watching(backlog="all")
    eventually(lambda: rows()["d.jpg"].status is Status.QUEUED)
    watched.stop()
    assert {rows()[name].status for name in summer} == {Status.DONE}
    watching(ignore=[])
    eventually(lambda: {rows()[name].status for name in summer} == {Status.QUEUED})


def test_a_new_disk_queues_no_photo_that_has_a_result(
    watching, scanned, rows, jobs, old, eventually
):
    watched = watching(backlog="all")
    scanned()
    watched.stop()
    for number in range(len(PHOTOS)):
        mend(jobs, f"{number}")
    before = rows()
    new_disk(old)
    since = status.clock(jobs.engine)
    watching()
    scanned(since)
    put(old / "new.jpg")
    eventually(lambda: "new.jpg" in rows())
    after = rows()
    assert {n: (j.id, j.status) for n, j in before.items()} == {
        n: (j.id, j.status) for n, j in after.items() if n != "new.jpg"
    }


def mend(jobs, content_hash: str) -> None:
    """Finish the most urgent job as a worker would."""
    claim = {"child": 1, "seconds": 300, "seconds_per_megapixel": 60}
    job = jobs.claim("w", ["classify"], **claim)
    jobs.classify(job, Category.REFLECTION, {}, content_hash=content_hash, pixels=1)
    job = jobs.claim("w", ["reflection"], **claim)
    jobs.record(job, job.source, "sha", {})
    jobs.finish(job, Decision.RESTORED)


def test_an_edited_photo_with_a_result_is_queued(watching, scanned, rows, jobs, old, eventually):
    watched = watching(backlog="all")
    scanned()
    for number in range(len(PHOTOS)):
        mend(jobs, f"{number}")
    put(old / "d.jpg", b"D")  # of the same size
    eventually(lambda: rows()["d.jpg"].status is Status.QUEUED)
    assert rows()["d.jpg"].rank == NEW_PHOTO
    assert len(search.versions(jobs.engine, "g", Path("d.jpg"))) == 2
    watched.stop()
