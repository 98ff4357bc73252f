"""A job that is decided from an earlier one with the same content."""

import os
import shutil
from pathlib import Path

import pytest

from storage import photos, publishing
from storage.database import galleries, search
from storage.enums import Decision
from storage.errors import OutputTaken
from storage.metadata.provenance import place_of
from storage.settings import settings
from tasks import mend
from tasks.steps import reuse
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen
from tests.tasks.steps.test_run_step import damage_exif

ODD = os.fsdecode(b"caf\xe9.jpg")


def test_the_result_of_a_photo_that_was_moved_moves_with_it(home, jobs, noisy):
    restore(noisy)
    (home / "gallery/cat.jpg").rename(home / "gallery/moved.jpg")
    galleries.add(jobs.engine, "g", Path(), {"moved.jpg": seen("moved.jpg")})
    classify(runtime.claim())
    assert search.get(jobs.engine, 2).output == Path("moved.jpg")
    assert search.get(jobs.engine, 1).output is None
    assert not (home / "output/cat.jpg").exists()


def test_the_receipt_of_a_refreshed_copy_states_what_was_damaged_in_its_own_source(
    home, jobs, noisy
):
    restore(noisy)
    copy = home / "gallery/copy.jpg"
    shutil.copy(home / "gallery/cat.jpg", copy)
    damage_exif(copy)
    galleries.add(jobs.engine, "g", Path(), {"copy.jpg": seen("copy.jpg")})
    classify(runtime.claim())
    receipt = search.get(jobs.engine, 2).receipt
    assert receipt["dropped_metadata"] == ["an EXIF block without a directory"]
    assert receipt["copy"] == search.get(jobs.engine, 1).receipt["copy"]
    shutil.copy(home / "gallery/cat.jpg", home / "gallery/whole.jpg")
    galleries.add(jobs.engine, "g", Path(), {"whole.jpg": seen("whole.jpg")})
    classify(runtime.claim())
    assert "dropped_metadata" not in search.get(jobs.engine, 3).receipt


def test_no_result_is_removed_while_most_of_the_gallery_is_missing(home, jobs, noisy):
    restore(noisy)
    (home / "gallery/cat.jpg").rename(home / "gallery/moved.jpg")
    galleries.add(jobs.engine, "g", Path(), {"moved.jpg": seen("moved.jpg")})
    job = runtime.claim()
    galleries.add(
        jobs.engine, "g", Path(), {f"{number}.jpg": seen(f"{number}.jpg") for number in range(3)}
    )
    classify(job)
    assert search.get(jobs.engine, 2).decision is Decision.RESTORED
    assert (home / "output/cat.jpg").exists()


def test_reasons_show_bytes_that_are_not_utf8_as_text(home, jobs, noisy):
    restore(noisy)
    shutil.copy(home / "gallery/cat.jpg", home / "gallery" / ODD)
    galleries.add(jobs.engine, "g", Path(), {ODD: seen(ODD)})
    classify(runtime.claim())
    shutil.copy(home / "gallery/cat.jpg", home / "gallery/copy.jpg")
    (home / "output/cat.jpg").unlink()
    galleries.add(jobs.engine, "g", Path(), {"copy.jpg": seen("copy.jpg")})
    classify(runtime.claim())
    assert search.get(jobs.engine, 3).reason == r"the result of caf\xe9.jpg, the same photo"
    (home / "output" / ODD).write_bytes(b"not ours")
    galleries.add(jobs.engine, "g", Path(), {ODD: seen(ODD, 2)})
    with pytest.raises(OutputTaken, match=r"caf\\xe9.jpg in the output folder is not ours"):
        classify(runtime.claim())


@pytest.fixture
def unseen(home, jobs, noisy, monkeypatch):
    """Two files of one photo; the first was restored, so little that it is kept only on demand."""
    monkeypatch.setattr(mend, "VISIBLE", 1000.0)
    monkeypatch.setattr(reuse, "VISIBLE", 1000.0)
    shutil.copy(home / "gallery/cat.jpg", home / "gallery/copy.jpg")
    galleries.add(jobs.engine, "g", Path(), {"copy.jpg": seen("copy.jpg")})
    return noisy


def test_what_nobody_sees_is_clean_and_so_is_its_copy(jobs, unseen):
    restore(unseen)
    classify(runtime.claim())
    first, copy = search.get(jobs.engine, 1), search.get(jobs.engine, 2)
    for job in (first, copy):
        assert (job.decision, job.reason) == (Decision.CLEAN, "nothing a person would see")
        assert job.receipt["guard"]["visible_change"] > 0
    assert first.output is None


@pytest.mark.parametrize(
    ("then", "now"),
    [("visible", "any"), ("any", "visible")],
    ids=["small wanted", "small unwanted"],
)
def test_a_decision_is_not_reused_if_the_least_change_is_another_now(
    jobs, unseen, monkeypatch, then, now
):
    monkeypatch.setenv("PHOTOMEND_LEAST_CHANGE", then)
    settings.cache_clear()
    restore(unseen)
    monkeypatch.setenv("PHOTOMEND_LEAST_CHANGE", now)
    settings.cache_clear()
    classify(runtime.claim())
    restore(runtime.claim())
    decisions = [search.get(jobs.engine, number).decision for number in (1, 2)]
    wanted = {"visible": Decision.CLEAN, "any": Decision.RESTORED}
    assert decisions == [wanted[then], wanted[now]]


def mended_again(jobs, gone: str, found: str):
    """Record that a photo is now at another place, classify it and return its job."""
    galleries.note_gone(jobs.engine, "g", Path(gone).parent, [Path(gone).name])
    galleries.add(jobs.engine, "g", Path(found).parent, {Path(found).name: seen(found, 2)})
    classify(runtime.claim())
    return search.get(jobs.engine, 2)


def test_a_result_that_was_renamed_like_its_photo_is_kept(home, jobs, noisy):
    restore(noisy)
    for root in ("gallery", "output"):
        (home / root / "2024").mkdir()
        (home / root / "cat.jpg").rename(home / root / "2024/cat.jpg")
    job = mended_again(jobs, "cat.jpg", "2024/cat.jpg")
    assert (job.decision, job.output) == (Decision.RESTORED, Path("2024/cat.jpg"))
    assert job.sha256 == publishing.sha256(home / "output/2024/cat.jpg")
    place = place_of("g", Path("2024/cat.jpg"))
    assert photos.ours(home / "output/2024/cat.jpg").place == place
    assert search.get(jobs.engine, 1).output is None


def test_a_photo_whose_name_changes_case_keeps_its_name_in_the_output(home, jobs, noisy):
    restore(noisy)
    (home / "gallery/cat.jpg").rename(home / "gallery/CAT.JPG")
    job = mended_again(jobs, "cat.jpg", "CAT.JPG")
    assert job.output == Path("CAT.JPG")
    assert [path.name for path in (home / "output").glob("[!.]*")] == ["CAT.JPG"]


def test_a_photo_with_another_mtime_only_keeps_its_result_as_it_is(home, jobs, noisy):
    restore(noisy)
    before = (home / "output/cat.jpg").stat()
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(runtime.claim())
    job = search.get(jobs.engine, 2)
    after = (home / "output/cat.jpg").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (job.output, job.sha256) == (Path("cat.jpg"), noisy_sha(home))
    assert search.get(jobs.engine, 1).output is None


def noisy_sha(home: Path) -> str | None:
    return publishing.sha256(home / "output/cat.jpg")
