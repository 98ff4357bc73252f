"""The second step: what lies beside a result, what it replaces, and what it never replaces."""

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage import photos
from storage.database import galleries, search
from storage.enums import Category, Decision, ErrorKind
from storage.errors import OutputTaken
from storage.formats.containers import jpeg
from tasks.steps import paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
FULL_PANORAMA = (
    b"http://ns.adobe.com/xap/1.0/\0"
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
    b"xmlns:GPano='http://ns.google.com/photos/1.0/panorama/' GPano:FullPanoWidthPixels='400' "
    b"GPano:CroppedAreaImageWidthPixels='400' GPano:ProjectionType='equirectangular'/>"
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.fixture
def chain(use, smoothing):
    chain = smoothing()
    use(chain)
    return chain


def restored_again(jobs, home, turn=90):
    """Restore another photo of the same name."""
    file = home / "gallery/cat.jpg"
    with Image.open(file) as picture:
        picture.rotate(turn).save(file, quality=95)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(runtime.claim())
    restore(runtime.claim())
    return search.get(jobs.engine, 2)


def test_a_sidecar_and_the_way_of_writing_come_with_a_result(home, jobs, claimed, chain):
    job = claimed(Category.MOTION_BLUR)
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    os.utime(home / "gallery/cat.jpg", (1e9, 1e9))
    restore(replace(job, fingerprint=seen("cat.jpg")))
    made = search.get(jobs.engine, 1)
    assert (home / "output/cat.jpg.xmp").read_bytes() == XMP
    assert (home / "output/cat.jpg").stat().st_mtime == pytest.approx(1e9)
    assert made.receipt["copy"] and not made.receipt.get("dropped_metadata")
    assert made.content_hash == photos.ours(home / "output/cat.jpg").content_hash


@pytest.mark.parametrize("full", [True, False])
def test_the_edges_of_a_full_panorama_are_joined(home, claimed, chain, full):
    job = claimed(Category.MOTION_BLUR)
    if full:
        path = paths.source(job).path
        path.write_bytes(jpeg.splice(io.BytesIO(path.read_bytes()), [(0xE1, FULL_PANORAMA)]))
    restore(replace(job, fingerprint=seen("cat.jpg")))
    [(image, _)] = chain.given
    assert (image.shape[1] > 400) == full
    with Image.open(home / "output/cat.jpg") as made:
        assert made.size == (400, 400)


def test_a_file_of_the_owners_stays_and_the_photo_is_left(home, claimed, chain):
    job = claimed(Category.MOTION_BLUR)
    (home / "output").mkdir()
    (home / "output/cat.jpg").write_bytes(b"the owner's")
    with pytest.raises(OutputTaken, match=r"^cat\.jpg in the output folder is not ours"):
        restore(job)
    assert (home / "output/cat.jpg").read_bytes() == b"the owner's"


def test_what_the_guard_refuses_keeps_its_receipt(jobs, claimed, use):
    class Nothing:
        scale = 1

        def __call__(self, image, verdict, receipt):
            with receipt.step("do nothing"):
                return image

    use(Nothing())
    restore(claimed(Category.MOTION_BLUR))
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason) == (Decision.KEPT_ORIGINAL, "nothing changed")
    assert [step["step"] for step in job.receipt["steps"]] == ["do nothing"]
    assert job.category is Category.MOTION_BLUR


def test_the_result_of_a_newer_version_replaces_the_older_one(home, jobs, claimed, chain):
    restore(claimed(Category.MOTION_BLUR))
    newer = restored_again(jobs, home)
    assert (newer.decision, newer.output) == (Decision.RESTORED, Path("cat.jpg"))
    older = search.get(jobs.engine, 1)
    assert (older.decision, older.output) == (Decision.RESTORED, None)
    image = photos.read(home / "gallery/cat.jpg", paths.limits()).image
    made = photos.read(home / "output/cat.jpg", paths.limits()).image
    assert np.abs(made - image).mean() < 0.05


@pytest.mark.parametrize("changed", [True, False])
def test_a_result_of_another_name_goes_unless_its_owner_changed_it(
    home, jobs, claimed, chain, configure, changed
):
    restore(claimed(Category.MOTION_BLUR))
    if changed:
        (home / "output/cat.jpg").write_bytes(b"the owner's now")
    configure(gallery={"name": "{stem}-new{ext}"})
    assert restored_again(jobs, home).output == Path("cat-new.jpg")
    assert (home / "output/cat-new.jpg").exists()
    assert (home / "output/cat.jpg").exists() == changed
    older = search.get(jobs.engine, 1)
    assert older.output == (Path("cat.jpg") if changed else None)


def test_a_result_that_was_published_before_its_worker_died_is_not_made_again(
    home, jobs, claimed, chain
):
    restore(claimed(Category.MOTION_BLUR))
    chain.given.clear()
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'queued', decision = NULL")
    restore(runtime.claim())
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason) == (Decision.RESTORED, "published before its claim ended")
    assert not chain.given
    (home / "output/cat.jpg").unlink()
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'queued', decision = NULL")
    restore(runtime.claim())
    assert chain.given and (home / "output/cat.jpg").exists()


def test_a_result_whose_claim_ended_before_its_sidecar_was_copied_gets_it(
    home, jobs, claimed, chain, configure, no_room_for_sidecars
):
    restore(claimed(Category.MOTION_BLUR))
    configure(gallery={"name": "{stem}-new{ext}"})
    file = home / "gallery/cat.jpg"
    with Image.open(file) as picture:
        picture.rotate(90).save(file, quality=95)
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    classify(runtime.claim())
    job = runtime.claim()
    with no_room_for_sidecars(), pytest.raises(OSError, match="full"):
        restore(job)
    assert (home / "output/cat-new.jpg").exists()
    jobs.end_with_error(job, ErrorKind.DISK_FULL, "no room", pause_seconds=0)
    chain.given.clear()
    restore(runtime.claim())
    assert search.get(jobs.engine, 2).reason == "published before its claim ended"
    assert (home / "output/cat-new.jpg.xmp").read_bytes() == XMP
    assert not (home / "output/cat.jpg").exists(), "the result of the older version"
    assert not chain.given
