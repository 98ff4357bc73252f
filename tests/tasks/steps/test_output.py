"""What cannot be written is not computed: the output is asked first, and its gallery waits for it."""

import errno
import os
import socket
from pathlib import Path

import pytest

from storage import availability, beneath, output_folder, publishing
from storage.beneath import Beneath
from storage.database import galleries, holds, remaining, search, status
from storage.database.conditions import MAX_HISTORY_LINES
from storage.enums import CLASSIFY, Category, Decision, ErrorKind, Status
from storage.errors import GalleryOffline, OutputFull, OutputTaken
from storage.settings import settings
from storage.settings_gallery import GallerySettings
from tasks.steps import paths
from tasks.steps.run_step import run_step
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")
MOST = str(10**9)
"""More megabytes than any disk has."""


@pytest.fixture
def waiting(jobs, home, take_photo):
    """Two photos that wait for their restoration."""
    galleries.note(
        jobs.engine, "g", host="here", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True, scanned_at=1.0,
    )  # fmt: skip
    for name in ("cat.jpg", "dog.jpg"):
        take_photo(name)
        galleries.add(jobs.engine, "g", Path(), {name: seen(name)})
        jobs.classify(runtime.claim([CLASSIFY]), Category.SUPER_RESOLUTION, {})


@pytest.fixture(autouse=True)
def chains(monkeypatch):
    """The categories whose chain was asked for: no photo is computed here."""
    asked = []

    def refuse(category, faces):
        asked.append(category)
        raise MemoryError

    monkeypatch.setattr(runtime, "chain", refuse)
    return asked


def let_time_pass(jobs, seconds):
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET due_at = due_at - {seconds}")
        connection.exec_driver_sql(
            f"UPDATE galleries SET held_until = held_until - {seconds}, trouble_at = trouble_at - {seconds}"
        )


def set_free(monkeypatch, megabytes):
    monkeypatch.setenv("PHOTOMEND_MIN_FREE_MEGABYTES", megabytes)
    settings.cache_clear()


def test_a_full_output_holds_its_gallery_before_anything_is_computed(
    home, jobs, waiting, monkeypatch, caplog, chains
):
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    set_free(monkeypatch, MOST)
    run_step(1)
    row = galleries.get(jobs.engine, "g")
    assert row.trouble_kind is ErrorKind.DISK_FULL and "min_free_megabytes" in row.trouble
    assert runtime.claim() is None  # neither of the two
    assert not remaining.under_way(jobs.engine, ["g"], since=1.0)
    first = search.get(jobs.engine, 1)
    assert (first.status, first.attempts, first.error_kind) == (Status.QUEUED, 0, "disk full")

    pauses = [row.held_until - row.trouble_at]
    for _ in range(6):
        let_time_pass(jobs, pauses[-1] + 1)
        run_step(1)
        row = galleries.get(jobs.engine, "g")
        pauses.append(row.held_until - status.clock(jobs.engine))
    assert 29 < pauses[0] < pauses[3] < pauses[6] <= holds.MAX_PAUSE_SECONDS
    assert {search.get(jobs.engine, number).error_kind for number in (1, 2)} == {"disk full"}
    assert len([record for record in caplog.records if "waits" in record.message]) == 1

    job = search.get(jobs.engine, 1)
    with publishing.draft(home / "output/cat.jpg", 1, 1) as draft:
        paths.publish(job, draft, Path("cat.jpg"), None)
    assert galleries.get(jobs.engine, "g").trouble is None
    assert not chains


def test_a_retry_of_the_owner_tries_a_held_output_at_once(jobs, waiting, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    set_free(monkeypatch, MOST)
    run_step(1)
    assert runtime.claim() is None
    assert jobs.retry([1])
    assert runtime.claim().id == 1


def test_a_history_gets_one_line_for_each_reason(home, jobs, waiting, monkeypatch):
    set_free(monkeypatch, MOST)
    jobs.cancel([2])
    lines = []
    for _ in range(4):
        let_time_pass(jobs, 3600)
        run_step(1)
        lines.append([event.event for event in search.events(jobs.engine, 1)])
    assert search.get(jobs.engine, 1).claims == 5
    assert lines[0] == lines[3] and "min_free_megabytes" in lines[3][-1]
    (home / "output" / publishing.MARKER).write_text("garbage")
    for _ in range(2):
        let_time_pass(jobs, 3600)
        run_step(1)
    assert len(search.events(jobs.engine, 1)) == len(lines[0]) + 2


def test_a_history_stays_short_whatever_a_job_waits_for(jobs, waiting):
    for number in range(MAX_HISTORY_LINES):
        let_time_pass(jobs, 3600)
        jobs.end_with_error(runtime.claim(), ErrorKind.MACHINE, f"trouble {number}")
    assert len(search.events(jobs.engine, 1)) <= MAX_HISTORY_LINES


def fail(number):
    raise OSError(number, os.strerror(number))


def test_a_missing_marker_holds_the_gallery_and_says_how_to_accept_it(jobs, waiting, chains):
    jobs.record(runtime.claim(), Path("cat.jpg"), "hash", {})  # so results were published before
    run_step(1)
    row = galleries.get(jobs.engine, "g")
    assert row.trouble_kind is ErrorKind.OFFLINE
    assert "`photomend accept g`" in row.trouble and not chains


@pytest.mark.parametrize("name", ["mirror", "immich-stack"])
def test_no_output_may_lie_in_a_folder_of_immich_s_own(tmp_path, name):
    inside = tmp_path / "upload/user/2024"
    inside.mkdir(parents=True)
    gallery = GallerySettings(path=inside, output=inside, name=name)
    assert output_folder.why_not_ours("g", gallery, used=False) is None
    (tmp_path / "upload/.immich").touch()
    reason = output_folder.why_not_ours("g", gallery, used=False)
    assert (
        reason is not None and f"lies in {tmp_path / 'upload'}, which belongs to immich" in reason
    )
    with pytest.raises(GalleryOffline, match="external library"):
        output_folder.prepare("g", gallery, used=False)


@pytest.mark.parametrize("link", ["output", "output/2024"])
def test_nothing_is_written_into_a_gallery_by_a_symbolic_link(home, jobs, waiting, chains, link):
    galleries.note(
        jobs.engine, "g", host=socket.gethostname(),
        **availability.recognisable(str(home / "gallery")),
    )  # fmt: skip
    (home / "gallery/inside").mkdir()
    (home / "gallery/2024").mkdir()
    (home / "gallery/cat.jpg").rename(home / "gallery/2024/cat.jpg")
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET folder = ? WHERE id = 1", (b"2024",))
    (home / link).parent.mkdir(exist_ok=True)
    (home / link).symlink_to(home / "gallery/inside", target_is_directory=True)
    run_step(1)
    row = galleries.get(jobs.engine, "g")
    assert row.trouble_kind is ErrorKind.OFFLINE and "lies inside the gallery g" in row.trouble
    assert list((home / "gallery/inside").iterdir()) == [] and not chains


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG])
def test_a_name_that_the_output_refuses_ends_the_job(jobs, waiting, monkeypatch, number, chains):
    create = beneath.create_in

    def as_on_vfat(inside, name, mode):
        return fail(number) if ":" in name else create(inside, name, mode)

    monkeypatch.setattr(beneath, "create_in", as_on_vfat)
    source = Path(settings().gallery("g").path, "cat.jpg")
    source.rename(source.with_name("12:30.jpg"))
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET name = ? WHERE id = 1", (b"12:30.jpg",))
    run_step(1)
    assert search.get(jobs.engine, 1).decision is Decision.LEFT_ALONE and not chains
    assert "cannot hold a file named 12:30.jpg" in search.get(jobs.engine, 1).reason


@pytest.mark.parametrize(
    ("in_the_way", "why"),
    [
        ("2024", "has the name of the folder 2024"),
        ("2024/cat.jpg/x", "a folder, a symbolic link or the like has the name"),
    ],
)
def test_what_is_in_the_way_ends_the_job_and_stays(tmp_path, in_the_way, why):
    gallery = GallerySettings(tmp_path / "gallery", output=tmp_path / "output")
    (gallery.path / "2024").mkdir(parents=True)
    (gallery.output / in_the_way).parent.mkdir(parents=True)
    (gallery.output / in_the_way).touch()
    with pytest.raises(OutputTaken, match=why):
        output_folder.make_place(gallery, Beneath(gallery.output, Path("2024/cat.jpg")))
    assert (gallery.output / in_the_way).exists()


def test_what_is_no_folder_is_named(tmp_path):
    (tmp_path / "output").touch()
    gallery = GallerySettings(tmp_path / "gallery", output=tmp_path / "output")
    with pytest.raises(GalleryOffline, match=r"is not a folder.*look: ls -ld"):
        output_folder.prepare("g", gallery, used=False)


def test_room_is_asked_for_the_result_as_well(tmp_path):
    with pytest.raises(OutputFull):
        output_folder.require_room(tmp_path, 10**18, 0)
    output_folder.require_room(tmp_path, 1, 0)


def test_a_trial_leaves_nothing_and_has_the_unusual_letters(tmp_path):
    odd = os.fsdecode(b"caf\xe9 12:30-\xe7\x8c\xab.jpg")
    with publishing.trial(tmp_path / odd) as trial:
        assert all(sign in trial.temporary for sign in (":", " ", "\u732b", os.fsdecode(b"\xe9")))
        assert [claim for _, claim in publishing.temporaries(tmp_path)] == [
            (0, 0)
        ]  # if killed here
    many = "".join(map(chr, range(0x732B, 0x732B + 80)))
    with publishing.trial(tmp_path / many) as trial:
        assert len(os.fsencode(trial.temporary)) <= 143
    gallery = GallerySettings(tmp_path / "gallery", output=tmp_path / "output")
    gallery.path.mkdir(exist_ok=True)
    output_folder.make_place(gallery, Beneath(gallery.output, Path(odd)))
    assert list(gallery.output.iterdir()) == []
