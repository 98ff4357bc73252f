"""The copy of a sidecar leaves the output with its result, and comes back with it; a changed one stays."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from daemon import actions, rejections
from storage import trash
from storage.database import galleries, search
from storage.enums import Category, Decision, Publish
from storage.formats.containers import jpeg
from tasks.steps import reuse
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient", "own_session")
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.fixture
def copies(home):
    """Return the sidecars in the output folder."""
    return lambda: sorted(path.name for path in (home / "output").glob("*.xmp"))


@pytest.fixture
def mended(home, jobs, claimed, use, smoothing, copies):
    """A photo that was mended with two sidecars."""
    use(smoothing())
    job = claimed(Category.MOTION_BLUR)
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    (home / "gallery/cat.xmp").write_bytes(XMP + b"\n")
    restore(replace(job, fingerprint=seen("cat.jpg")))
    assert copies() == ["cat.jpg.xmp", "cat.xmp"]
    return search.get(jobs.engine, 1)


def test_sidecars_go_to_the_trash_with_a_rejected_result_and_come_back(home, jobs, mended, copies):
    for file in (home / "gallery").glob("*.xmp"):
        file.unlink()  # the receipt knows them
    rejections.reject(jobs.engine, mended)
    assert copies() == []
    assert len(list((home / "output" / trash.FOLDER).rglob("1-*"))) == 3
    rejections.restore(jobs.engine, search.get(jobs.engine, 1))
    assert copies() == ["cat.jpg.xmp", "cat.xmp"]
    assert (home / "output/cat.jpg.xmp").read_bytes() == XMP


def test_sidecars_are_removed_with_a_result_where_there_is_no_trash(
    jobs, mended, copies, configure
):
    configure(TRASH_DAYS="0")
    rejections.reject(jobs.engine, mended)
    assert copies() == []


def test_a_sidecar_that_its_owner_changed_stays(home, jobs, mended, copies):
    (home / "output/cat.xmp").write_bytes(b"rated")
    rejections.reject(jobs.engine, mended)
    assert copies() == ["cat.xmp"]
    (home / "output/cat.jpg.xmp").write_bytes(b"new")
    rejections.restore(jobs.engine, search.get(jobs.engine, 1))
    assert (home / "output/cat.jpg.xmp").read_bytes() == b"new"


def test_a_sidecar_that_two_results_share_stays(home, jobs, mended, copies):
    (home / "output/cat.png").write_bytes(b"the result of cat.png")
    rejections.reject(jobs.engine, mended)
    assert copies() == ["cat.xmp"]


def test_sidecars_leave_with_a_result_that_is_not_made_again(jobs, mended, copies):
    jobs.retry([1])
    job = replace(runtime.claim(), receipt=mended.receipt, content_hash=mended.content_hash)
    reuse.finish_without_result(job, Decision.CLEAN)
    assert copies() == []


def test_sidecars_leave_with_a_result_that_waits_again(
    home, jobs, claimed, use, smoothing, copies, configure
):
    configure(gallery={"publish": Publish.AFTER_REVIEW})
    use(smoothing())
    job = claimed(Category.MOTION_BLUR)
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    restore(replace(job, fingerprint=seen("cat.jpg")))
    actions.keep([search.get(jobs.engine, 1)])
    restore(runtime.claim())
    assert copies() == ["cat.jpg.xmp"]
    [outcome] = actions.undo([search.get(jobs.engine, 1)])
    assert outcome.reason is None and copies() == []


def test_sidecars_leave_with_the_result_of_a_photo_that_was_moved(home, jobs, mended, copies):
    gallery = home / "gallery"
    for name in ("cat.jpg", "cat.jpg.xmp", "cat.xmp"):
        (gallery / name).rename(gallery / name.replace("cat", "dog"))
    galleries.note_gone(jobs.engine, "g", Path(), ["cat.jpg"])
    galleries.add(jobs.engine, "g", Path(), {"dog.jpg": seen("dog.jpg")})
    classify(runtime.claim())
    assert (home / "output/dog.jpg").exists() and not (home / "output/cat.jpg").exists()
    assert copies() == ["dog.jpg.xmp", "dog.xmp"]


def test_a_sidecar_of_which_there_is_a_newer_one_leaves_all_the_same(home, jobs, mended, copies):
    (home / "gallery/cat.xmp").write_bytes(XMP + b"\n\n")
    photo = home / "gallery/cat.jpg"  # its result is written again with the new metadata
    photo.write_bytes(jpeg.splice(io.BytesIO(photo.read_bytes()), [(0xFE, b"a comment")]))
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(runtime.claim())
    rejections.reject(jobs.engine, search.get(jobs.engine, 2))
    assert copies() == []
