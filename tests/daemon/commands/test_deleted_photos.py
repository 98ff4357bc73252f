"""The copy of a photo that was deleted goes to the trash, but not when the photo is only away."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from daemon import actions, deleted_photos, maintenance
from storage import fingerprints, trash
from storage.database import deleted, galleries, moves, reviews, search
from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.enums import Decision, Review, Status
from storage.settings import settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_session")]

FAILPOINTS = str(Path(__file__).parents[2] / "failpoints")
TRASHES = {"when_deleted": "trash"}
DAY = 86400.0


@pytest.fixture
def scan(home, watching, scanned, jobs, eventually):
    """Watch the gallery until a full scan has begun and ended, and its photos have settled."""

    def are_recorded() -> bool:
        known = galleries.known(jobs.engine, "g", Path())
        photos = (home / "gallery").glob("*.jpg")
        return all(fingerprints.of(each.stat()) in known.get(each.name, ()) for each in photos)

    def run(**changes):
        watched = watching(**(TRASHES | changes))
        row = galleries.get(jobs.engine, "g")
        scanned(row and row.scanned_at)
        eventually(are_recorded)
        watched.stop()

    return run


@pytest.fixture
def later(jobs):
    """Let days pass since what is recorded."""

    def pass_(days: float) -> None:
        with jobs.engine.begin() as connection:
            for column in (table.c.gone_at, table.c.created_at, table.c.reviewed_at):
                connection.execute(sa.update(table).values({column: column - days * DAY}))

    return pass_


@pytest.fixture
def watched(home, jobs, mended, scan):
    """The gallery has been watched with the photo and another one in it, which was read."""
    (home / "gallery/other.jpg").write_bytes(b"another photo")
    scan()
    read(jobs, "other.jpg")


@pytest.fixture
def delete(home, watched, scan, later):
    """Delete the photo, and let it be missing for some days."""

    def run(days: float = 1.1, **changes) -> None:
        (home / "gallery/cat.jpg").unlink()
        scan(**changes)
        later(days)
        scan(**changes)

    return run


def read(jobs, name: str) -> None:
    """A worker has read the photo."""
    [job] = search.versions(jobs.engine, "g", Path(name))
    with jobs.engine.begin() as connection:
        step = sa.update(table).where(table.c.id == job.id)
        connection.execute(step.values(status=Status.DONE, content_hash="x"))


def now(jobs, job_id: int = 1) -> Job:
    return search.get(jobs.engine, job_id)


def in_trash(home) -> list[bytes]:
    return [path.read_bytes() for path in (home / "output" / trash.FOLDER).rglob("1-*")]


def is_untouched(home, jobs) -> bool:
    stays = (home / "output/cat.jpg").read_bytes() == b"result" and not in_trash(home)
    return stays and now(jobs).decision is Decision.RESTORED


def test_the_copy_of_a_deleted_photo_goes_to_the_trash_and_can_be_restored(
    home, jobs, mended, delete, run
):
    delete()
    maintenance.go_on(jobs)
    job = now(jobs)
    assert (job.review, job.decision, job.output) == (Review.DELETED, Decision.KEPT_ORIGINAL, None)
    assert in_trash(home) == [b"result"] and not (home / "output/cat.jpg").exists()
    run("restore", home / "gallery")
    assert is_untouched(home, jobs)
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)  # its owner wants it


@pytest.mark.parametrize(
    ("days", "changes"), [(1.1, {"when_deleted": "keep"}), (0.9, {}), (1.1, {"TRASH_DAYS": 0})]
)
def test_the_copy_stays_by_default_on_the_first_day_and_without_a_trash(
    home, jobs, delete, days, changes
):
    delete(days, **changes)
    maintenance.go_on(jobs)
    assert now(jobs).gone_at is not None
    assert is_untouched(home, jobs)


def test_the_copy_stays_until_a_full_scan_has_begun_since(home, jobs, delete):
    delete()
    row = galleries.get(jobs.engine, "g")
    galleries.note(jobs.engine, "g", scanned_at=now(jobs).gone_at + 10, scan_seconds=20.0)
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)
    galleries.note(jobs.engine, "g", scanned_at=row.scanned_at, scan_seconds=row.scan_seconds)
    maintenance.go_on(jobs)
    assert in_trash(home) == [b"result"]


@pytest.mark.parametrize("away", ["gone", "empty", "another", "offline"])
def test_no_copy_goes_while_the_gallery_is_away(home, jobs, delete, away):
    delete()
    gallery = home / "gallery"
    if away == "offline":
        galleries.note(jobs.engine, "g", online=False)
    else:
        gallery.rename(home / "disk")
    if away in ("empty", "another"):
        gallery.mkdir()
    if away == "another":
        galleries.note(jobs.engine, "g", identity="another disk")
        (gallery / "strange.jpg").write_bytes(b"strange")
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)


def test_a_photo_in_an_empty_folder_or_behind_a_link_was_not_deleted(home, jobs):
    gallery = settings().galleries["g"]

    def is_deleted(photo: str) -> bool:
        return deleted_photos.is_deleted(Path(photo), gallery, None, lambda _: [])

    (gallery.path / "share").mkdir()
    (gallery.path / "used.jpg").touch()
    (gallery.path / "link").symlink_to(home / "nowhere")
    assert is_deleted("cat.jpg") and is_deleted("a folder that went/cat.jpg")
    assert not is_deleted("share/cat.jpg") and not is_deleted("share/2024/cat.jpg")
    assert not is_deleted("link/cat.jpg") and not is_deleted("link/2024/cat.jpg")
    (gallery.path / "share/.DS_Store").touch()
    assert not is_deleted("share/cat.jpg")
    (gallery.path / "share/dog.jpg").touch()
    assert is_deleted("share/cat.jpg") and not is_deleted("share/dog.jpg")


def test_the_copy_waits_while_a_photo_is_unread_that_may_be_the_same(
    home, jobs, watched, scan, later
):
    (home / "gallery/cat.jpg").rename(home / "gallery/renamed.jpg")
    scan()
    later(1.1)
    scan()
    maintenance.go_on(jobs)
    [renamed] = search.versions(jobs.engine, "g", Path("renamed.jpg"))
    assert renamed.status is Status.QUEUED and is_untouched(home, jobs)
    read(jobs, "renamed.jpg")
    maintenance.go_on(jobs)
    assert in_trash(home) == [b"result"]


def test_a_copy_that_another_photo_has_by_now_stays(home, jobs, delete):
    delete()
    other = search.versions(jobs.engine, "g", Path("other.jpg"))[0].id
    with jobs.engine.begin() as connection:
        step = sa.update(table).where(table.c.id == other)
        connection.execute(step.values(content_hash="x", output=Path("cat.jpg")))
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)


def test_an_editor_that_saves_by_delete_and_rename_deletes_nothing(
    home, jobs, watched, scan, later
):
    photo = home / "gallery/cat.jpg"
    photo.unlink()
    scan()
    photo.write_bytes(b"an edited photo")
    scan()
    later(1.1)
    scan()
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)


@pytest.mark.parametrize("word", [None, Review.KEPT])
def test_the_copy_comes_back_with_its_photo(home, jobs, mended, delete, scan, word):
    photo = home / "gallery/cat.jpg"
    found, content = photo.stat(), photo.read_bytes()
    if word:
        actions.keep([mended])
    delete()
    maintenance.go_on(jobs)
    assert in_trash(home) == [b"result"]
    photo.write_bytes(content)
    os.utime(photo, ns=(found.st_atime_ns, found.st_mtime_ns))
    scan()
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs) and now(jobs).review is word
    assert "its photo came back" in [event.event for event in search.events(jobs.engine, 1)]


def test_a_photo_that_comes_back_after_the_trash_was_emptied_is_mended_again(
    home, jobs, mended, delete, scan
):
    photo = home / "gallery/cat.jpg"
    found, content = photo.stat(), photo.read_bytes()
    delete()
    maintenance.go_on(jobs)
    [kept] = (home / "output" / trash.FOLDER).rglob("1-*")
    kept.unlink()
    photo.write_bytes(content)
    os.utime(photo, ns=(found.st_atime_ns, found.st_mtime_ns))
    scan()
    maintenance.go_on(jobs)
    assert (now(jobs).status, now(jobs).review) == (Status.QUEUED, None)


def test_another_photo_of_the_same_name_brings_no_result_back(home, jobs, mended, delete, scan):
    delete()
    maintenance.go_on(jobs)
    (home / "gallery/cat.jpg").write_bytes(b"another photo of this name")
    scan()
    maintenance.go_on(jobs)
    assert (now(jobs).status, now(jobs).review) == (Status.DONE, Review.DELETED)
    assert in_trash(home) == [b"result"]
    assert not (home / "output/cat.jpg").exists()


def test_the_copies_of_many_photos_wait_a_week_and_status_tells(
    home, jobs, mended, delete, later, run, monkeypatch
):
    monkeypatch.setattr(deleted, "MASS", 0)
    delete()
    maintenance.go_on(jobs)
    assert is_untouched(home, jobs)
    with jobs.engine.connect() as connection:
        many = deleted.many(connection, galleries.get(jobs.engine, "g"))
    assert many.count == 1
    galleries.note(jobs.engine, "g", photos=100)  # then one is few
    with jobs.engine.connect() as connection:
        assert deleted.many(connection, galleries.get(jobs.engine, "g")) is None
    galleries.note(jobs.engine, "g", photos=1)
    later(6)
    maintenance.go_on(jobs)
    assert in_trash(home) == [b"result"]


def test_status_names_the_gallery_in_which_many_photos_vanished(jobs, mended, delete, run):
    delete()
    with jobs.engine.begin() as connection:
        names = [c.name for c in table.c if c.name not in ("id", "name")]
        one = sa.select(
            sa.func.cast(sa.bindparam("n"), sa.LargeBinary), *[table.c[n] for n in names]
        )
        for number in range(deleted.MASS):
            connection.execute(
                sa.insert(table).from_select(["name", *names], one.where(table.c.id == 1)),
                {"n": f"{number}.jpg".encode()},
            )
    assert "51 photos of g with a copy are gone" in " ".join(run("status").stdout.split())
    [many] = json.loads(run("status", "--json").stdout)["vanished"]
    assert (many["gallery"], many["count"]) == ("g", 51)


def test_a_deleted_photo_is_no_word_of_its_owner_and_decides_for_no_other(
    home, jobs, mended, delete
):
    from storage.database import owners_word
    from tasks.steps import reuse

    delete()
    maintenance.go_on(jobs)
    assert owners_word.of(now(jobs)) is None
    assert not reuse._still_holds(now(jobs, 2), now(jobs))


RUN = "from daemon import maintenance\nfrom storage.database.jobs import open_jobs\nmaintenance.go_on(open_jobs())"


@pytest.mark.parametrize("point", ["delete begun", "in the trash", "rejected"])
@pytest.mark.parametrize("returns", [False, True])
def test_a_kill_on_the_way_to_the_trash_loses_nothing(
    home, jobs, mended, delete, scan, monkeypatch, point, returns
):
    photo = home / "gallery/cat.jpg"
    found, content = photo.stat(), photo.read_bytes()
    actions.keep([mended])
    delete()
    env = os.environ | {
        "PYTHONPATH": FAILPOINTS, "FAILPOINT": point, "FAILPOINT_HOW": "kill",
        "FAILPOINT_MARK": str(home / "failed"),
    }  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", RUN], env=env, cwd=Path.cwd(), check=False)
    assert ended.returncode == -signal.SIGKILL
    if returns:
        photo.write_bytes(content)
        os.utime(photo, ns=(found.st_atime_ns, found.st_mtime_ns))
        scan()
    monkeypatch.setattr(moves, "MOVING_SECONDS", 0.0)
    maintenance.go_on(jobs)
    maintenance.go_on(jobs)
    if returns:
        assert is_untouched(home, jobs) and now(jobs).review is Review.KEPT
        return
    assert (now(jobs).review, now(jobs).output) == (Review.DELETED, None)
    assert in_trash(home) == [b"result"]
    told = [event.event for event in search.events(jobs.engine, 1)]
    assert told.count(moves.DELETED) == 1 and reviews.REJECTED not in told
