"""What the owner said of photos before their database was lost decides over them again."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import owners_word, publishing, trash
from storage.beneath import Beneath
from storage.database import galleries, reviews, search
from storage.database.tables import metadata
from storage.enums import BACKLOG, Category, Decision, Degradation, Review, Status, Strength
from storage.owners_word import Word
from storage.wishes import Wish
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")
CAT = Path("cat.jpg")


@pytest.fixture
def found(jobs, given_verdict, monkeypatch, use, smoothing):
    """Record the photos of the gallery, as a new database does, and classify one."""
    verdict = given_verdict(Category.SUPER_RESOLUTION)
    monkeypatch.setattr(runtime, "classifier", lambda: verdict)
    use(smoothing())

    def found(name="cat.jpg", rank=BACKLOG):
        [job_id] = galleries.add(jobs.engine, "g", Path(), {name: seen(name)}, rank=rank)
        classify(runtime.claim())
        return search.get(jobs.engine, job_id)

    return found


@pytest.fixture
def mended(jobs, take_photo, found):
    """A photo that is mended."""
    take_photo(kind=Degradation.NOISE)
    found()
    restore(runtime.claim())
    return search.get(jobs.engine, 1)


@pytest.fixture
def lost(home, jobs):
    """Lose the database; the owner said something of a photo before."""

    def lost(word, photo=CAT):
        owners_word.append(home / "output", {photo: word})
        with jobs.engine.begin() as connection:
            for table in ("jobs", "outputs", "history"):
                connection.execute(sa.delete(metadata.tables[table]))

    return lost


def rejected(home, mended):
    assert trash.put(Beneath(home / "output", mended.output), 77, mended.sha256)
    return Word(Review.REJECTED, None, mended.content_hash, mended.sha256)


def test_a_rejected_photo_is_not_mended_again_and_its_result_can_come_back(
    home, mended, found, lost
):
    lost(rejected(home, mended))
    job = found()
    assert (job.status, job.decision, job.reason, job.review) == (
        Status.DONE, Decision.KEPT_ORIGINAL, reviews.REJECTED, Review.REJECTED,
    )  # fmt: skip
    assert reviews.rejected(job) == (CAT, mended.sha256)
    assert trash.take_out(Beneath(home / "output", CAT), job.id, mended.sha256)


def test_neither_is_a_copy_of_it(home, mended, found, lost):
    lost(rejected(home, mended))
    shutil.copy(home / "gallery/cat.jpg", home / "gallery/copy.jpg")
    copy = found("copy.jpg")
    assert (copy.decision, copy.review) == (Decision.KEPT_ORIGINAL, None)
    assert reviews.rejected(copy) is None


def test_a_photo_with_other_pixels_is_mended(home, mended, found, lost):
    lost(rejected(home, mended))
    lost(Word(Review.REJECTED, Wish(Category.REFLECTION), "e" * 64))
    job = found()
    assert (job.status, job.category, job.wish) == (
        Status.QUEUED, Category.SUPER_RESOLUTION, None,
    )  # fmt: skip


def test_a_result_that_is_there_is_kept_although_a_line_rejects_it(home, mended, found, lost):
    lost(Word(Review.REJECTED, None, mended.content_hash))
    job = found()
    assert (job.decision, job.review, job.output) == (Decision.RESTORED, None, CAT)


def test_a_kept_result_stays_kept(mended, found, lost):
    lost(Word(Review.KEPT, None, mended.content_hash))
    job = found()
    assert (job.decision, job.review, job.sha256) == (
        Decision.RESTORED, Review.KEPT, mended.sha256,
    )  # fmt: skip


def test_a_photo_is_mended_as_the_owner_asked(jobs, mended, home, found, lost):
    publishing.remove(home / "output/cat.jpg", mended.sha256)
    asked = Wish(Category.REFLECTION, Strength.GENTLE)
    lost(Word(None, asked, mended.content_hash))
    job = found()
    assert (job.category, job.wish) == (Category.REFLECTION, asked.to_json())
    restore(runtime.claim())
    assert search.get(jobs.engine, job.id).receipt["strength"] == "gentle"


def test_a_screenshot_that_the_owner_asked_for_is_no_screenshot(take_photo, home, found, lost):
    name = take_photo("Screenshot_1.jpg", kind=Degradation.NOISE).name
    (home / "output").mkdir()
    assert found(name).decision is Decision.LEFT_ALONE
    lost(Word(None, Wish()), Path(name))
    assert found(name).category is Category.SUPER_RESOLUTION


def test_a_raw_file_stays_as_it_is_whatever_a_line_says(home, found, lost):
    (home / "gallery/a.dng").write_bytes(b"II*\0raw")
    (home / "output").mkdir()
    lost(Word(None, Wish(), "f" * 64), Path("a.dng"))
    job = found("a.dng")
    assert job.decision is Decision.LEFT_ALONE
    assert "RAW" in job.reason


def test_what_the_owner_asks_for_now_is_mended_again(jobs, home, mended, found, lost):
    lost(rejected(home, mended))
    job = found(rank=0)
    assert (job.status, job.category) == (Status.QUEUED, Category.SUPER_RESOLUTION)


def test_the_database_counts_more_than_the_file(home, jobs, mended, found):
    owners_word.append(
        home / "output", {CAT: Word(Review.KEPT, Wish(Category.REFLECTION), mended.content_hash)}
    )
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(runtime.claim())
    job = search.get(jobs.engine, 2)
    assert (job.decision, job.review, job.wish) == (Decision.RESTORED, None, None)


def test_a_line_is_not_asked_for_a_photo_that_the_database_knows(home, jobs, mended, found):
    word = Word(Review.REJECTED, Wish(Category.REFLECTION), mended.content_hash)
    owners_word.append(home / "output", {CAT: word})
    publishing.remove(home / "output/cat.jpg", mended.sha256)  # so its result is not reused
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(runtime.claim())
    job = search.get(jobs.engine, 2)
    assert (job.status, job.category, job.wish) == (
        Status.QUEUED, Category.SUPER_RESOLUTION, None,
    )  # fmt: skip
