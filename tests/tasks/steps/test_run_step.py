"""One step of one job, in this process."""

import errno
import io
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage import photos, publishing
from storage.database import galleries, reviews, search
from storage.enums import CLASSIFY, Category, Decision, Degradation, EngineName, ErrorKind, Status
from storage.errors import GpuBusy, GpuLost, TooLarge, WeightsMissing, WeightsWrong
from storage.formats.containers import jpeg
from storage.settings import settings
from tasks.steps import paths, reuse
from tasks.steps.classify import classify
from tasks.steps.restore import _kept_reflection, restore
from tasks.steps.run_step import run_step
from tasks.verdict import Verdict
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


@dataclass(frozen=True)
class StillClassifier:
    """Gives every photo the same verdict."""

    verdict: Verdict
    name: str = "still"

    def __call__(self, image, *, jpeg_quality=None):
        return self.verdict


@pytest.mark.parametrize(
    ("error", "status", "kind", "attempts"),
    [
        (MemoryError(), Status.QUEUED, ErrorKind.MEMORY, 1),
        (ValueError("a bug"), Status.QUEUED, ErrorKind.ERROR, 1),
        (OSError(errno.ENOSPC, "No space left"), Status.QUEUED, ErrorKind.DISK_FULL, 0),
        (OSError(errno.EROFS, "Read-only"), Status.QUEUED, ErrorKind.READ_ONLY, 0),
        (OSError(errno.EIO, "I/O error"), Status.QUEUED, ErrorKind.MACHINE, 0),
        (ModuleNotFoundError("No module named 'torch'"), Status.QUEUED, ErrorKind.MACHINE, 0),
        (WeightsMissing("pull them"), Status.QUEUED, ErrorKind.MACHINE, 0),
        (WeightsWrong("another file"), Status.QUEUED, ErrorKind.MACHINE, 0),
        (GpuLost("launch failure"), Status.QUEUED, ErrorKind.GPU_LOST, 0),
        (GpuBusy("others hold it"), Status.QUEUED, ErrorKind.GPU_BUSY, 0),
        (TooLarge("too many pixels"), Status.FAILED, ErrorKind.TOO_LARGE, 0),
        (SystemExit(), Status.RUNNING, None, 0),
    ],
)
def test_each_error_ends_the_claim_in_its_way(
    jobs, take_photo, monkeypatch, error, status, kind, attempts
):
    def fail(_seen):
        raise error

    monkeypatch.setattr(photos, "decoded", fail)
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    with suppress(SystemExit):
        run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.status, job.error_kind, job.attempts) == (status, kind, attempts)


def test_a_step_whose_database_is_deleted_ends_and_publishes_nothing(home, jobs, noisy, use):
    def chain(image, verdict, receipt):
        for file in (home / "state").glob("jobs.db*"):
            file.unlink()
        return image * 0.5

    chain.scale = 1
    use(chain)
    jobs.end_with_error(noisy, ErrorKind.STOPPED, "stopped", pause_seconds=0)
    run_step(1)
    assert not list((home / "output").glob("*.jpg"))
    assert not (home / "state/jobs.db").exists()


def test_classification_opens_a_photo_once(jobs, take_photo, opened_files):
    path = take_photo(kind=Degradation.NOISE)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    opened_files.clear()
    classify(runtime.claim())
    assert search.get(jobs.engine, 1).category is Category.SUPER_RESOLUTION
    assert opened_files.count(path.name) == 1


@pytest.mark.parametrize(
    ("engines", "waits"),
    [(("lite", "paper"), True), (("lite", "lite"), False), (("paper", "paper"), False)],
)
def test_a_movement_that_lite_cannot_mend_goes_to_the_paper_engine_if_it_is_there(
    jobs, take_photo, monkeypatch, engines, waits
):
    moved = Verdict(
        dict.fromkeys(Category, 0.1) | {Category.MOTION_BLUR: 0.7},
        dict.fromkeys(Degradation, 0.0) | {Degradation.MOTION: 0.9},
        confident=False,
    )
    named = dict(zip((CLASSIFY, Category.MOTION_BLUR), map(EngineName, engines), strict=True))
    monkeypatch.setattr("tasks.steps.classify.engine_of", named.__getitem__)
    monkeypatch.setattr(runtime, "classifier", lambda: StillClassifier(moved))
    take_photo()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    classify(runtime.claim())
    job = search.get(jobs.engine, 1)
    assert job.category is Category.MOTION_BLUR
    assert (job.status is Status.QUEUED) == waits
    if not waits:
        assert (job.decision, job.reason) == (
            Decision.UNSURE,
            "moved; the paper's engine could try",
        )


def test_a_worker_frozen_between_the_strokes_has_nothing_left_to_rename(home, jobs, noisy):
    output = home / "output/cat.jpg"
    paths.reserve(jobs, noisy)
    with publishing.draft(output, noisy.id, noisy.claims) as draft:
        draft.file.write(b"what a frozen worker wrote")
        jobs.record(noisy, Path("cat.jpg"), "hash", {})
        jobs.release_lost(0)
        restore(runtime.claim())
        with pytest.raises(FileNotFoundError):
            publishing.publish(draft, None)
    assert publishing.sha256(output) == search.get(jobs.engine, 1).sha256


def damage_exif(photo):
    """Give a JPEG an EXIF block that cannot be read."""
    file = io.BytesIO(photo.read_bytes())
    broken = b"Exif\0\0II*\0\x08\0\0\0\1\0\x0f\1\2\0\6\0\0\0\0\xff\xff\x7f\0\0\0\0"
    photo.write_bytes(jpeg.splice(file, [(0xE1, broken)]))


def test_a_receipt_states_which_damaged_metadata_were_dropped(jobs, noisy):
    damage_exif(paths.source(noisy).path)
    restore(replace(noisy, fingerprint=seen("cat.jpg")))
    job = search.get(jobs.engine, 1)
    assert job.decision is Decision.RESTORED
    assert job.receipt["dropped_metadata"] == ["an EXIF block without a directory"]


def test_an_output_published_before_a_crash_is_adopted(home, jobs, noisy):
    restore(noisy)
    made = search.get(jobs.engine, 1)
    before = (home / "output/cat.jpg").stat().st_mtime_ns
    with jobs.engine.begin() as connection:  # as if the last stroke had not been made
        connection.exec_driver_sql("UPDATE jobs SET status = 'queued', decision = NULL")
    restore(runtime.claim())
    job = search.get(jobs.engine, 1)
    assert (job.status, job.sha256) == (Status.DONE, made.sha256)
    assert (home / "output/cat.jpg").stat().st_mtime_ns == before


def test_two_sources_that_would_get_one_name_get_two(home, jobs, take_photo):
    take_photo("IMG.jpg", kind=Degradation.NOISE)
    take_photo("img.JPG", kind=Degradation.COMPRESSION)
    galleries.add(
        jobs.engine, "g", Path(), {"IMG.jpg": seen("IMG.jpg"), "img.JPG": seen("img.JPG")}
    )
    for _ in range(4):
        run_step(1)
    outputs = {str(search.get(jobs.engine, number).output) for number in (1, 2)}
    assert len({name.casefold() for name in outputs}) == 2
    assert all((home / "output" / name).exists() for name in outputs)


def test_a_rejected_photo_is_never_made_again(home, jobs, noisy, take_photo):
    restore(noisy)
    assert reviews.reject(jobs.engine, search.get(jobs.engine, 1))
    (home / "output/cat.jpg").unlink()
    take_photo("copy.jpg", kind=Degradation.NOISE)
    galleries.add(jobs.engine, "g", Path(), {"copy.jpg": seen("copy.jpg")})
    run_step(2)
    assert search.get(jobs.engine, 2).decision is Decision.KEPT_ORIGINAL
    assert not (home / "output/copy.jpg").exists()


def test_the_chain_is_told_the_quality_of_the_photos_file(home, noisy, monkeypatch):
    told = []

    class Untouching:
        scale = 1

        def __call__(self, image, verdict, receipt):
            told.append(verdict.jpeg_quality)
            return image

    monkeypatch.setattr(runtime, "chain", lambda category, faces: Untouching())
    restore(noisy)
    expected = photos.read(home / "gallery/cat.jpg", paths.limits()).jpeg_quality
    assert told == [expected] and expected is not None


def test_a_reflection_that_is_kept_is_synced(jobs, noisy, synced):
    file = _kept_reflection(noisy, np.full((4, 5, 3), 0.5, np.float32))
    with Image.open(file) as kept:
        assert kept.size == (5, 4)
    assert synced[1:] == [str(file.parent)]
    assert Path(synced[0]).name.startswith(f".{file.name}.")


def test_a_result_that_would_be_too_large_is_not_begun(jobs, noisy, monkeypatch):
    class Fourfold:
        scale = 4

        def __call__(self, image, verdict, receipt):
            raise AssertionError

    monkeypatch.setattr(runtime, "chain", lambda category, faces: Fourfold())
    monkeypatch.setenv("PHOTOMEND_MAX_MEGAPIXELS", "1")
    settings.cache_clear()
    with pytest.raises(TooLarge, match="set enlarge in"):
        restore(noisy)


def keep_original(job):
    reuse.finish_without_result(
        job, Decision.KEPT_ORIGINAL, "it was not better", receipt={"guard": {}}
    )


def be_unsure(job):
    with runtime.jobs().engine.begin() as connection:  # as if its classification had not ended
        connection.exec_driver_sql("UPDATE jobs SET queue = 'classify'")
    reuse.finish_without_result(
        job, Decision.UNSURE, "perhaps motion-blur", category=Category.MOTION_BLUR
    )


def restore_and_remove(job):
    restore(job)
    paths.output(job, search.get(runtime.jobs().engine, 1).output).unlink()


def restore_and_reject(job):
    restore_and_remove(job)
    engine = runtime.jobs().engine
    assert reviews.reject(engine, search.get(engine, 1))


def restore_and_forget(job):
    restore_and_remove(job)
    runtime.jobs().forget_output(search.get(runtime.jobs().engine, 1))


def adopt(job):
    restore(job)
    with runtime.jobs().engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")
    galleries.add(runtime.jobs().engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    run_step(1)
    assert "there already" in search.get(runtime.jobs().engine, 1).reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "end",
    [
        keep_original, be_unsure, restore, restore_and_remove, restore_and_reject,
        restore_and_forget, adopt,
        lambda job: runtime.jobs().end_with_error(job, ErrorKind.ERROR, "a bug"),
        lambda job: runtime.jobs().cancel([job.id]),
        lambda job: runtime.jobs().finish(job, Decision.LEFT_ALONE, "it was here before"),
    ],
)  # fmt: skip
def test_a_retry_computes_again_however_the_job_ended(home, jobs, noisy, end):
    end(noisy)
    assert jobs.retry([1])
    run_step(1)
    if search.get(jobs.engine, 1).status is Status.QUEUED:  # it was classified first
        run_step(1)
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason) == (Decision.RESTORED, None)
    assert job.category is Category.SUPER_RESOLUTION
    assert job.sha256 == publishing.sha256(home / "output/cat.jpg")


def test_what_the_guard_refuses_is_said_once(jobs, noisy, monkeypatch):
    class Nothing:
        scale = 1

        def __call__(self, image, verdict, receipt):
            return image

    monkeypatch.setattr(runtime, "chain", lambda category, faces: Nothing())
    restore(noisy)
    job = search.get(jobs.engine, 1)
    assert job.decision is Decision.KEPT_ORIGINAL
    assert job.reason == "nothing changed"
