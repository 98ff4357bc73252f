"""What a step hands to the classifier, the chain and the guard, and what it publishes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage import photos
from storage.database import galleries, search
from storage.enums import ASKED_FOR, BACKLOG, Category, Decision, Degradation
from storage.errors import GalleryOffline, TooLarge
from storage.metadata.provenance import place_of
from tasks.steps import paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")


def test_a_classifier_gets_the_photo_and_its_quality_and_what_it_says_is_stored(
    home, jobs, take_photo, monkeypatch, given_verdict
):
    take_photo(kind=Degradation.NOISE)
    told = given_verdict(Category.REFLECTION)
    monkeypatch.setattr(runtime, "classifier", lambda: told)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    classify(runtime.claim())
    photo = photos.read(home / "gallery/cat.jpg", paths.limits())
    [(image, quality)] = told.given
    assert np.array_equal(image, photo.image) and quality == photo.jpeg_quality
    job = search.get(jobs.engine, 1)
    assert job.category is Category.REFLECTION
    assert job.scores == told.verdict.to_json() | {"classifier": "told"}
    assert job.pixels == image.shape[0] * image.shape[1]
    assert job.content_hash


@pytest.mark.parametrize(
    ("category", "confident", "decision"),
    [(Category.CLEAN, True, Decision.CLEAN), (Category.REFLECTION, False, Decision.UNSURE)],
)
def test_a_photo_that_is_left_keeps_its_scores(
    jobs, take_photo, monkeypatch, category, confident, decision, given_verdict
):
    take_photo()
    told = given_verdict(category, confident)
    monkeypatch.setattr(runtime, "classifier", lambda: told)
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg")})
    classify(runtime.claim())
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.category) == (decision, category)
    assert (job.reason is None) == confident
    assert job.scores["classifier"] == "told"
    assert (job.content_hash is None, job.pixels) == (False, 160_000)


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("category", [Category.REFLECTION, Category.MOTION_BLUR])
def test_the_chain_of_the_category_may_change_faces_if_the_gallery_allows_it(
    configure, claimed, use, category, allowed, smoothing
):
    configure(gallery={"faces": allowed})
    asked = use(smoothing())
    restore(claimed(category))
    assert asked == [(category, allowed)]


def test_the_chain_gets_the_photo_and_the_verdict(home, claimed, use, smoothing):
    chain = smoothing()
    use(chain)
    restore(claimed(Category.SUPER_RESOLUTION))
    [(image, verdict)] = chain.given
    photo = photos.read(home / "gallery/cat.jpg", paths.limits())
    assert np.array_equal(image, photo.image)
    assert verdict.scores[Category.SUPER_RESOLUTION] == 0.7
    assert verdict.severities == dict.fromkeys(Degradation, 0.25)
    assert verdict.confident and verdict.jpeg_quality == photo.jpeg_quality


@pytest.mark.parametrize("generative", [True, False])
def test_what_is_published_names_its_steps_and_whether_detail_was_invented(
    home, jobs, claimed, use, generative, smoothing
):
    use(smoothing(generative=generative))
    restore(claimed(Category.SUPER_RESOLUTION))
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason, job.output) == (Decision.RESTORED, None, Path("cat.jpg"))
    assert [step["step"] for step in job.receipt["steps"]] == ["smooth the photo"]
    assert job.receipt["generative"] is generative
    mark = photos.ours(home / "output/cat.jpg")
    assert (mark.generative, mark.steps) == (generative, "smooth the photo")
    assert (mark.category, mark.place) == ("super-resolution", place_of("g", Path("cat.jpg")))
    with Image.open(home / "output/cat.jpg") as made:
        assert made.size == (400, 400)
    assert [path.name for path in (home / "output").glob("*cat.jpg*")] == ["cat.jpg"]
    source, output = (home / folder / "cat.jpg" for folder in ("gallery", "output"))
    assert output.stat().st_mtime == pytest.approx(source.stat().st_mtime, abs=0.01)


@pytest.mark.parametrize(
    ("category", "kept", "expected"),
    [
        (Category.REFLECTION, True, True),
        (Category.REFLECTION, False, False),
        (Category.SUPER_RESOLUTION, True, False),
    ],
)
def test_what_was_removed_is_written_for_reflections_if_it_is_to_be_kept(
    home, jobs, configure, claimed, use, category, kept, expected
):
    configure(PAPER={"keep_reflection": kept}, LEAST_CHANGE="any")

    class Darkening:
        scale = 1

        def __call__(self, image, verdict, receipt):
            return 0.9 * image

    use(Darkening())
    restore(claimed(category))
    file = home / "state/reflections/1.png"
    job = search.get(jobs.engine, 1)
    assert job.decision is Decision.RESTORED
    assert file.exists() == expected == ("reflection" in job.receipt)
    if expected:
        assert job.receipt["reflection"] == str(file)
        image = photos.read(home / "gallery/cat.jpg", paths.limits()).image
        with Image.open(file) as picture:
            assert np.abs(np.asarray(picture) - 25.5 * image).max() < 1.1


@pytest.mark.parametrize(("megapixels", "fits"), [(3, True), (2, False)])
def test_an_enlarged_result_must_fit_the_limit_of_pixels(
    home, configure, claimed, use, megapixels, fits, smoothing
):
    configure(MAX_MEGAPIXELS=megapixels)
    chain = smoothing(scale=4)
    use(chain)
    job = claimed(Category.SUPER_RESOLUTION)
    if fits:
        restore(job)
        with Image.open(home / "output/cat.jpg") as made:
            assert made.size == (1600, 1600)
        return
    with pytest.raises(TooLarge) as error:
        restore(job)
    assert str(error.value) == (
        "4 times as large it would have 3 megapixels, and max_megapixels = 2; "
        "set enlarge in [paper] to less"
    )
    assert not chain.given


@pytest.mark.parametrize(
    ("least", "decision"), [("any", Decision.RESTORED), ("visible", Decision.CLEAN)]
)
def test_the_least_change_of_the_settings_decides(
    jobs, configure, claimed, use, monkeypatch, least, decision, smoothing
):
    monkeypatch.setattr("tasks.mend.VISIBLE", 1000.0)
    configure(LEAST_CHANGE=least)
    use(smoothing())
    restore(claimed(Category.SUPER_RESOLUTION))
    job = search.get(jobs.engine, 1)
    assert job.decision is decision
    assert job.receipt["guard"]["visible_change"] > 0


def test_a_job_of_a_gallery_that_is_not_here_is_offline(configure, claimed):
    job = claimed(Category.REFLECTION)
    configure(GALLERIES={})
    with pytest.raises(GalleryOffline, match="g"):
        paths.gallery(job)
    assert not paths.source_gone(runtime.jobs(), job)


@pytest.mark.parametrize("rank", [ASKED_FOR, BACKLOG])
def test_the_same_photo_is_computed_again_only_if_a_person_asked(
    home, jobs, claimed, use, rank, smoothing
):
    chain = smoothing()
    use(chain)
    restore(claimed(Category.SUPER_RESOLUTION))
    shutil.copy(home / "gallery/cat.jpg", home / "gallery/copy.jpg")
    galleries.add(jobs.engine, "g", Path(), {"copy.jpg": seen("copy.jpg")})
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET rank = {rank} WHERE id = 2")
    classify(runtime.claim())
    job = search.get(jobs.engine, 2)
    assert (job.decision is Decision.RESTORED) == (rank == BACKLOG)
    if rank == BACKLOG:
        assert job.reason == "the result of cat.jpg, the same photo"
        assert (job.output, job.category) == (Path("copy.jpg"), Category.SUPER_RESOLUTION)
        assert job.scores["classifier"] == "told"
        assert (job.pixels, job.content_hash is None) == (160_000, False)
        assert photos.ours(home / "output/copy.jpg").place == place_of("g", Path("copy.jpg"))
