"""What becomes of a photo that was mended before, and of a result that is there already."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from storage import photos, publishing
from storage.database import galleries, search
from storage.enums import Category, Decision, ErrorKind, Status
from storage.errors import ClaimLost, OutputTaken
from storage.metadata.provenance import place_of
from tasks.steps import paths, reuse
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen
from tests.storage import copier

pytestmark = pytest.mark.usefixtures("worker", "lenient")
CHANGED = "its result cat.jpg was changed by its owner and stays"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.fixture
def chain(use, smoothing):
    """The chain of every category."""
    chain = smoothing()
    use(chain)
    return chain


@pytest.fixture
def restored(home, jobs, claimed, chain):
    """The job of a photo that was restored."""
    restore(claimed(Category.SUPER_RESOLUTION))
    chain.given.clear()
    return search.get(jobs.engine, 1)


def arrived(jobs, name):
    """Classify a file of the gallery that was found, and return its job."""
    galleries.add(jobs.engine, "g", Path(), {name: seen(name, 2)})
    job = runtime.claim()
    classify(job)
    return search.get(jobs.engine, job.id)


def copied(home, name):
    shutil.copy(home / "gallery/cat.jpg", home / "gallery" / name)
    return name


def edit(path):
    with Image.open(path) as picture:
        keep = {"xmp": picture.info.get("xmp", b"")}
        picture.rotate(180).save(path, quality=90, **keep)


def left_over(home):
    return [path.name for path in (home / "output").rglob("*.tmp")]


def test_a_photo_with_another_mtime_keeps_its_result_untouched(home, jobs, restored):
    before = (home / "output/cat.jpg").stat()
    os.utime(home / "gallery/cat.jpg", (1e9, 1e9))
    job = arrived(jobs, "cat.jpg")
    assert job.reason == "its result is there, and the photo has not changed"
    assert (job.output, job.sha256) == (restored.output, restored.sha256)
    now = (home / "output/cat.jpg").stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_photo_that_is_tagged_while_it_is_mended_is_not_taken_for_unchanged(
    home, jobs, claimed, smoothing, use
):
    class Tagging(smoothing):
        def __call__(self, image, verdict, receipt):
            path = home / "gallery/cat.jpg"
            data = path.read_bytes()
            path.write_bytes(data[:2] + b"\xff\xfe\0\7a tag" + data[2:])
            return super().__call__(image, verdict, receipt)

    use(Tagging())
    restore(claimed(Category.SUPER_RESOLUTION))
    job = arrived(jobs, "cat.jpg")
    assert job.reason == "the result of cat.jpg, the same photo"
    assert b"a tag" in (home / "output/cat.jpg").read_bytes()


def test_a_photo_that_was_tagged_gets_its_result_again_with_its_present_metadata(
    home, jobs, restored, chain
):
    os.utime(home / "gallery/cat.jpg", (1e9, 1e9))
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    with publishing.draft(home / "output/cat.jpg", 77, 3) as draft:
        stale = home / "output" / draft.temporary
    stale.write_bytes(b"of a claim that was lost")
    job = arrived(jobs, "cat.jpg")
    assert (job.decision, job.output) == (Decision.RESTORED, Path("cat.jpg"))
    assert job.reason == "the result of cat.jpg, the same photo"
    assert (job.category, job.scores) == (restored.category, restored.scores)
    assert (job.pixels, job.content_hash) == (160_000, restored.content_hash)
    assert job.receipt["steps"] == restored.receipt["steps"]
    result = home / "output/cat.jpg"
    assert publishing.sha256(result) == job.sha256 != restored.sha256
    assert result.stat().st_mtime == pytest.approx(1e9)
    assert (home / "output/cat.jpg.xmp").read_bytes() == XMP
    mark = photos.ours(result)
    assert (mark.job_id, mark.category) == (job.id, "super-resolution")
    assert search.get(jobs.engine, 1).output is None  # the file is the newer job's now
    assert not chain.given and not left_over(home)


def test_a_refreshed_result_whose_claim_ended_before_its_sidecar_was_copied_gets_it(
    home, jobs, restored, chain, no_room_for_sidecars
):
    os.utime(home / "gallery/cat.jpg", (1e9, 1e9))
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    job = runtime.claim()
    with no_room_for_sidecars(), pytest.raises(OSError, match="full"):
        classify(job)
    jobs.end_with_error(job, ErrorKind.DISK_FULL, "no room", pause_seconds=0)
    classify(runtime.claim())
    again = search.get(jobs.engine, job.id)
    assert again.reason == "the result of cat.jpg, the same photo"
    assert publishing.sha256(home / "output/cat.jpg") == again.sha256
    assert (home / "output/cat.jpg.xmp").read_bytes() == XMP
    assert not chain.given


@pytest.mark.parametrize(
    ("decision", "reason"),
    [(Decision.KEPT_ORIGINAL, "the ringing is too strong"), (Decision.UNSURE, "perhaps moved")],
)
def test_the_decision_of_an_earlier_job_holds_for_the_same_photo(
    home, jobs, claimed, decision, reason
):
    first = claimed(Category.REFLECTION)
    receipt = {"guard": {"visible_change": 9.0}}
    reuse.finish_without_result(first, decision, reason, receipt=receipt)
    job = arrived(jobs, copied(home, "copy.jpg"))
    assert (job.decision, job.reason) == (decision, reason)
    assert (job.category, job.scores) == (Category.REFLECTION, first.scores)
    assert job.receipt == receipt
    assert (job.pixels, job.content_hash) == (160_000, first.content_hash)


@pytest.mark.parametrize("name", ["cat.jpg", "copy.jpg"])
def test_a_result_that_its_owner_changed_is_not_reused(home, jobs, restored, name):
    if name != "cat.jpg":
        copied(home, name)
    edit(home / "output/cat.jpg")
    if name == "cat.jpg":
        with pytest.raises(OutputTaken) as error:
            arrived(jobs, name)
        assert str(error.value) == CHANGED
    else:  # another file of the photo gets a result of its own
        job = arrived(jobs, name)
        assert (job.status, job.category) == (Status.QUEUED, Category.SUPER_RESOLUTION)


@pytest.mark.parametrize("name", ["cat.jpg", "copy.jpg"])
@pytest.mark.parametrize("known", [True, False])
def test_a_result_that_is_gone_is_computed_again(home, jobs, restored, name, known):
    if name != "cat.jpg":
        copied(home, name)
    (home / "output/cat.jpg").unlink()
    if not known:
        jobs.forget_output(restored)
    job = arrived(jobs, name)
    assert (job.status, job.category) == (Status.QUEUED, Category.SUPER_RESOLUTION)


def test_an_earlier_job_that_does_not_decide_leaves_it_to_one_before(home, jobs, restored):
    arrived(jobs, copied(home, "copy.jpg"))
    (home / "output/copy.jpg").unlink()
    job = arrived(jobs, copied(home, "third.jpg"))
    assert job.reason == "the result of cat.jpg, the same photo"
    assert search.get(jobs.engine, 1).output == Path("cat.jpg")


def test_a_result_is_not_reused_over_a_file_of_the_owners(home, jobs, restored):
    copied(home, "copy.jpg")
    (home / "output/copy.jpg").write_bytes(b"the owner's")
    with pytest.raises(OutputTaken) as error:
        arrived(jobs, "copy.jpg")
    assert str(error.value) == (
        "copy.jpg in the output folder is not ours, or was changed by its owner; it stays"
    )
    assert (home / "output/copy.jpg").read_bytes() == b"the owner's"


@pytest.mark.parametrize(("written", "name"), [("write", "cat.jpg"), ("refreshed", "copy.jpg")])
def test_a_claim_that_is_lost_while_its_result_is_written_leaves_nothing_behind(
    home, jobs, claimed, chain, monkeypatch, written, name
):
    job = claimed(Category.SUPER_RESOLUTION)
    if name == "copy.jpg":
        restore(job)
        copied(home, name)
        galleries.add(jobs.engine, "g", Path(), {name: seen(name)})
        job = runtime.claim()
    write = getattr(photos, written)

    def write_slowly(*given):
        jobs.release_lost(0)
        assert len(left_over(home)) == 1
        return write(*given)

    monkeypatch.setattr(photos, written, write_slowly)
    with pytest.raises(ClaimLost):
        (restore if name == "cat.jpg" else classify)(job)
    assert not left_over(home)
    assert not (home / "output" / name).exists()


# Results that were there before the database


@pytest.fixture
def without_database(home, jobs, restored):
    """A result of a database that was lost."""
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")
    return restored


def test_a_result_that_is_there_already_is_used(home, jobs, without_database, chain):
    job = arrived(jobs, "cat.jpg")
    assert (job.decision, job.output) == (Decision.RESTORED, Path("cat.jpg"))
    assert job.reason == "its result was there already"
    assert job.sha256 == publishing.sha256(home / "output/cat.jpg") == without_database.sha256
    assert (job.category, job.pixels) == (Category.SUPER_RESOLUTION, 160_000)
    assert job.content_hash == without_database.content_hash
    assert not chain.given


def test_a_result_that_is_there_already_gets_the_sidecar_that_it_lacks(
    home, jobs, without_database
):
    (home / "gallery/cat.jpg.xmp").write_bytes(XMP)
    assert arrived(jobs, "cat.jpg").reason == "its result was there already"
    assert (home / "output/cat.jpg.xmp").read_bytes() == XMP


def test_a_result_that_was_made_larger_than_any_is_not_read_to_its_end(
    home, jobs, without_database
):
    with (home / "output/cat.jpg").open("r+b") as file:
        file.truncate(1 << 43)
    with pytest.raises(OutputTaken, match="was changed by its owner"):
        arrived(jobs, "cat.jpg")


def marked(home, **values):
    """Give the result another provenance."""
    result, temporary = home / "output/cat.jpg", home / "output/new"
    mark = dataclasses.replace(photos.ours(result), **values)
    copier.refreshed(home / "gallery/cat.jpg", result, temporary, mark, paths.limits())
    temporary.replace(result)


NOT_ITS_RESULT = {
    "of another photo": lambda home: marked(home, place=place_of("g", Path("dog.jpg"))),
    "of another gallery": lambda home: marked(home, place=place_of("h", Path("cat.jpg"))),
    "of no category": lambda home: marked(home, category="forged"),
    "of other content": lambda home: marked(home, content_hash="0" * 64),
    "not ours": lambda home: (home / "output/cat.jpg").write_bytes(b"the owner's"),
    "a folder": lambda home: ((home / "output/cat.jpg").unlink(), (home / "output/cat.jpg").mkdir()),
}  # fmt: skip


@pytest.mark.parametrize("other", NOT_ITS_RESULT)
@pytest.mark.parametrize("second", [True, False], ids=["second", "none"])
def test_only_a_result_of_this_photo_is_used(home, jobs, without_database, other, second):
    names = publishing.candidates(Path("cat.jpg"), "{stem}{ext}", ".jpg")
    other_name = [home / "output" / name for name in names][1]
    if second:  # the photo's own result has its second name
        shutil.copy(home / "output/cat.jpg", other_name)
    NOT_ITS_RESULT[other](home)
    job = arrived(jobs, "cat.jpg")
    if second:
        assert (job.decision, job.output) == (Decision.RESTORED, Path(other_name.name))
        assert job.sha256 == publishing.sha256(other_name)
    else:
        assert (job.status, job.output) == (Status.QUEUED, None)


def test_a_result_that_is_there_but_was_changed_stays(home, jobs, without_database):
    edit(home / "output/cat.jpg")
    with pytest.raises(OutputTaken) as error:
        arrived(jobs, "cat.jpg")
    assert str(error.value) == CHANGED


# Results of older versions


@pytest.mark.parametrize("changed", [True, False])
def test_the_result_of_an_older_version_is_removed_unless_its_owner_changed_it(
    home, jobs, restored, given_verdict, monkeypatch, take_photo, changed
):
    take_photo()  # another photo under the same name
    monkeypatch.setattr(runtime, "classifier", lambda: given_verdict(Category.CLEAN))
    if changed:
        edit(home / "output/cat.jpg")
    job = arrived(jobs, "cat.jpg")
    assert (job.decision, job.output, job.sha256) == (Decision.CLEAN, None, None)
    assert (home / "output/cat.jpg").exists() == changed
    assert (search.get(jobs.engine, 1).output is not None) == changed


def test_a_job_that_is_taken_again_removes_its_own_result(home, jobs, restored):
    assert jobs.retry([1])
    reuse.finish_without_result(runtime.claim(), Decision.KEPT_ORIGINAL, "now it is refused")
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.output, job.sha256) == (Decision.KEPT_ORIGINAL, None, None)
    assert job.reason == "now it is refused"
    assert not (home / "output/cat.jpg").exists()


def nothing(home):
    (home / "output/cat.jpg").unlink()


@pytest.mark.parametrize(
    ("change", "known", "free"),
    [
        (nothing, True, True), (nothing, False, True),
        (lambda home: None, True, True), (lambda home: None, False, True),
        (lambda home: marked(home, place=place_of("g", Path("dog.jpg"))), False, False),
        (lambda home: edit(home / "output/cat.jpg"), False, False),
        (lambda home: edit(home / "output/cat.jpg"), True, False),
        (lambda home: (home / "output/cat.jpg").write_bytes(b"the owner's"), True, False),
    ],
)  # fmt: skip
def test_only_an_unchanged_result_of_this_photo_is_replaced(
    home, jobs, restored, change, known, free
):
    change(home)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    job = runtime.claim()
    if not known:
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM jobs WHERE id = 1")
    output = home / "output/cat.jpg"
    if free:
        replaced = reuse.check_replaceable(job, output, Path("cat.jpg"))
        assert replaced == publishing.sha256(output)
        return
    with pytest.raises(OutputTaken) as error:
        reuse.check_replaceable(job, output, Path("cat.jpg"))
    assert str(error.value) == (
        "cat.jpg in the output folder is not ours, or was changed by its owner; it stays"
    )
