"""Where a job's photo and its result are, and whether the photo is still there."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from storage import filesystems, publishing
from storage.database import galleries, output_names
from storage.errors import GalleryOffline, OutputTaken
from storage.formats.safe_open import MEGA, Limits
from storage.publishing import MARKER
from tasks.steps import paths
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def job(jobs, take_photo):
    """A photo in a folder, that is claimed."""
    take_photo("2024/cat.jpg")
    found = {"cat.jpg": seen("2024/cat.jpg"), "a.jpg": "2", "b.jpg": "3"}
    galleries.add(jobs.engine, "g", Path("2024"), found)
    return runtime.claim()


def test_the_photo_and_its_result_are_in_the_folders_of_the_gallery(home, job):
    assert paths.source(job).path == home / "gallery/2024/cat.jpg"
    assert paths.output(job, Path("2024/new.jpg")).path == home / "output/2024/new.jpg"
    assert paths.gallery(job).path == home / "gallery"


@pytest.mark.parametrize("used", [True, False])
def test_a_name_is_reserved_in_the_folder_that_has_this_gallerys_results(home, jobs, job, used):
    assert paths.reserve(jobs, job) == Path("2024/cat.jpg")
    assert (home / "output/2024").is_dir()
    assert json.loads((home / "output" / MARKER).read_text()) == {"gallery": "g"}
    (home / "output" / MARKER).unlink()
    if used:
        jobs.record(job, Path("2024/cat.jpg"), "a hash", {})
        with pytest.raises(GalleryOffline, match="is not the one that has this gallery's results"):
            paths.reserve(jobs, job)
    else:
        assert paths.reserve(jobs, job) == Path("2024/cat.jpg")
        assert (home / "output" / MARKER).exists()


def test_a_folder_that_belongs_to_another_gallery_is_not_used(home, jobs, job):
    (home / "output").mkdir()
    (home / "output" / MARKER).write_text('{"gallery": "h"}')
    with pytest.raises(GalleryOffline, match="belongs to the gallery 'h'"):
        paths.reserve(jobs, job)


def test_a_photo_whose_names_others_have_gets_none(jobs, job):
    first, second = publishing.candidates(job.source, "{stem}{ext}", ".jpg")
    assert output_names.reserve(jobs.engine, replace(job, name=Path("a.jpg")), first)
    assert output_names.reserve(jobs.engine, replace(job, name=Path("b.jpg")), second)
    with pytest.raises(OutputTaken) as error:
        paths.reserve(jobs, job)
    assert str(error.value) == (
        "other photos have the names that the result of 2024/cat.jpg might have"
    )


def test_a_photo_whose_name_another_has_gets_its_second_one(jobs, job):
    first, second = publishing.candidates(job.source, "{stem}{ext}", ".jpg")
    assert output_names.reserve(jobs.engine, replace(job, name=Path("a.jpg")), first)
    assert paths.reserve(jobs, job) == second


@pytest.mark.parametrize(
    ("age_seconds", "arriving"),
    [(0, True), (3500, True), (3700, False), (-3500, True), (-3700, False)],
)
def test_a_new_photo_may_still_be_arriving(job, age_seconds, arriving):
    changed_at = time.time() - age_seconds
    os.utime(paths.source(job).path, (changed_at, changed_at))
    assert paths.may_be_arriving(job) is arriving


def test_a_photo_that_is_not_there_does_not_arrive(job):
    paths.source(job).unlink()
    assert paths.may_be_arriving(job) is False


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_photo_is_gone_only_from_a_gallery_that_is_online(home, jobs, job, noted, there):
    if noted:
        galleries.note(
            jobs.engine, "g", host="here", root=home / "gallery", output=home / "output",
            filesystem="ext4", watching="events", online=True,
            identity=filesystems.identity(str(home / "gallery")),
        )  # fmt: skip
    (home / "gallery/other.jpg").write_bytes(b"another photo")
    if not there:
        paths.source(job).unlink()
    assert paths.source_gone(jobs, job) is (noted and not there)


def test_a_photo_of_a_gallery_that_is_not_on_this_machine_is_not_gone(jobs, job):
    away = replace(job, gallery="h")
    assert paths.source_gone(jobs, away) is False
    with pytest.raises(GalleryOffline, match="h"):
        paths.source(away)


def test_the_limits_are_those_of_the_settings(configure):
    configure(MAX_MEGAPIXELS=3, MAX_MEGABYTES=2, MIN_FREE_MEGABYTES=5)
    assert paths.limits() == Limits(2 * MEGA, 3 * MEGA, 5 * MEGA)
