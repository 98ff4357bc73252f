"""What the owner asks for one photo, and the rules of the settings, decide over both steps."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from storage import photos
from storage.database import galleries, search, wishes
from storage.enums import CLASSIFY, Category, Decision, Degradation, Status, Strength
from storage.wishes import Wish
from tasks.steps import full_results, paths
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")


@pytest.fixture
def arrived(jobs, take_photo):
    """Take up a photo of the gallery, with a wish if one is given."""

    def arrived(name="cat.jpg", wish=None):
        take_photo(name, kind=Degradation.NOISE)
        [job_id] = galleries.add(jobs.engine, "g", Path(), {name: seen(name)})
        if wish is not None:
            wishes.ask(jobs.engine, [job_id], wish)
        classify(runtime.claim([CLASSIFY]))
        return search.get(jobs.engine, job_id)

    return arrived


@pytest.fixture
def told(monkeypatch, given_verdict):
    def told(category, confident=True):
        verdict = given_verdict(category, confident)
        monkeypatch.setattr(runtime, "classifier", lambda: verdict)
        return verdict

    return told


@pytest.mark.parametrize("found", ["clean", "unsure"])
def test_a_photo_that_the_owner_asks_for_goes_to_a_chain(arrived, told, found):
    told(Category.CLEAN if found == "clean" else Category.REFLECTION, found == "clean")
    job = arrived(wish=Wish())
    assert job.status is Status.QUEUED and job.category is not Category.CLEAN
    assert job.scores["confident"] and job.scores["found"]


def test_a_category_that_the_owner_names_is_taken_against_the_classifier(
    arrived, told, use, smoothing
):
    told(Category.MOTION_BLUR)
    chain = smoothing()
    use(chain)
    job = arrived(wish=Wish(Category.REFLECTION))
    assert (job.category, job.queue) == (Category.REFLECTION, "reflection")
    assert job.scores["found"]["motion-blur"] == 0.7
    restore(runtime.claim())
    [(_, verdict)] = chain.given
    assert verdict.category is Category.REFLECTION
    assert verdict.severities[Degradation.REFLECTION] == 1


def test_a_screenshot_is_mended_if_the_owner_asks_or_a_rule_allows_it(arrived, told, configure):
    told(Category.REFLECTION)
    assert arrived("Screenshot_1.jpg").decision is Decision.LEFT_ALONE
    assert arrived("Screenshot_2.jpg", Wish()).category is Category.REFLECTION
    configure(RULES=[{"match": "*_3*", "allow": ["screenshots"]}])
    assert arrived("Screenshot_3.jpg").category is Category.REFLECTION
    assert arrived("Screenshot_4.jpg").decision is Decision.LEFT_ALONE


def test_what_protects_a_photo_holds_against_the_owner_s_wish(home, arrived, told):
    told(Category.REFLECTION)
    (home / "gallery/cat.mov").touch()
    job = arrived(wish=Wish())
    assert (job.decision, job.category) == (Decision.LEFT_ALONE, None)
    assert "film" in job.reason


def test_a_rule_turns_mending_off_also_for_what_is_queued(jobs, home, arrived, told, configure):
    told(Category.REFLECTION)
    job = arrived()
    assert job.status is Status.QUEUED
    configure(RULES=[{"match": "*.jpg", "mode": "off"}])
    restore(runtime.claim())
    job = search.get(jobs.engine, job.id)
    assert (job.decision, job.reason) == (
        Decision.LEFT_ALONE,
        'rule 1 ("*.jpg") turns mending off',
    )
    assert not (home / "output/cat.jpg").exists()
    asked = arrived("dog.jpg", Wish())
    assert (asked.decision, asked.content_hash) == (Decision.LEFT_ALONE, None)


def test_a_rule_names_the_categories_that_are_mended_unless_the_owner_asks(
    jobs, arrived, told, configure, use, smoothing
):
    use(smoothing())
    told(Category.REFLECTION)
    waiting = arrived()
    configure(RULES=[{"match": "*", "categories": ["motion-blur"]}])
    restore(runtime.claim())
    for job in (search.get(jobs.engine, waiting.id), arrived("b.jpg")):
        assert job.decision is Decision.LEFT_ALONE
        assert job.reason == 'rule 1 ("*") mends only motion-blur, and this is reflection'
    assert arrived("c.jpg", Wish()).status is Status.QUEUED
    restore(runtime.claim())
    assert search.get(jobs.engine, 3).decision is Decision.RESTORED


def change_of(home, name="cat.jpg"):
    before = photos.read(home / "gallery" / name, paths.limits()).image
    return photos.read(home / "output" / name, paths.limits()).image - before


def test_the_strength_of_the_gallery_of_a_rule_and_of_the_owner(
    home, jobs, arrived, told, configure, use, smoothing
):
    told(Category.REFLECTION)
    asked = use(smoothing())
    sizes = {}
    configure(gallery={"strength": "strong"})
    settings = (
        ("normal.jpg", {"match": "*", "strength": "normal", "faces": False}, None),
        ("gentle.jpg", {"match": "*", "strength": "strong"}, Wish(strength=Strength.GENTLE)),
        ("strong.jpg", {"match": "other"}, None),
    )
    for number, (name, rule, wish) in enumerate(settings, 1):
        configure(RULES=[rule])
        photo = home / "gallery" / name
        job = arrived(name, wish)
        photo.write_bytes(photo.read_bytes() + bytes(number))  # no two are the same photo
        job = search.get(jobs.engine, job.id)
        restore(dataclasses.replace(runtime.claim(), fingerprint=seen(name)))
        job = search.get(jobs.engine, job.id)
        assert job.receipt["strength"] == photo.stem
        sizes[photo.stem] = np.abs(change_of(home, name)).mean()
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE jobs SET content_hash = id")
    assert [allowed for _, allowed in asked] == [False, True, True]
    assert sizes["gentle"] < 0.8 * sizes["normal"] < sizes["strong"]


def test_a_change_that_nobody_would_see_is_kept_if_the_owner_asks(
    jobs, arrived, told, use, smoothing, monkeypatch
):
    monkeypatch.setattr("tasks.mend.VISIBLE", 1000.0)
    told(Category.REFLECTION)
    use(smoothing())
    arrived(wish=Wish())
    restore(runtime.claim())
    assert search.get(jobs.engine, 1).decision is Decision.RESTORED


def again(jobs, strength):
    assert wishes.ask(jobs.engine, [1], Wish(strength=strength))
    restore(runtime.claim())
    return search.get(jobs.engine, 1)


def test_another_strength_of_a_photo_needs_no_network_again(
    home, jobs, arrived, told, use, smoothing
):
    told(Category.SUPER_RESOLUTION)
    chain = smoothing(generative=True)
    asked = use(chain)
    arrived()
    restore(runtime.claim())
    assert not list((home / "state/full-results").glob("*")), "nobody asked for it"
    normal = again(jobs, Strength.NORMAL)
    computed = (home / "output/cat.jpg").read_bytes()
    assert len(chain.given) == len(asked) == 2
    gentle = again(jobs, Strength.GENTLE)
    assert len(chain.given) == len(asked) == 2, "the chain was not even loaded"
    assert gentle.receipt["from_full_result"] and gentle.receipt["generative"]
    assert gentle.receipt["steps"] == normal.receipt["steps"]
    assert gentle.sha256 != normal.sha256
    again(jobs, Strength.NORMAL)
    (home / "computed.jpg").write_bytes(computed)
    images = [
        photos.read(home / name, paths.limits()).image
        for name in ("computed.jpg", "output/cat.jpg")
    ]
    assert np.array_equal(*images)


def test_a_full_result_of_other_pixels_or_settings_is_not_used(
    home, jobs, arrived, told, use, smoothing, configure
):
    told(Category.SUPER_RESOLUTION)
    chain = smoothing()
    use(chain)
    arrived(wish=Wish())
    restore(runtime.claim())
    configure(gallery={"faces": False})
    again(jobs, Strength.GENTLE)
    assert len(chain.given) == 2
    [file] = (home / "state/full-results").iterdir()
    file.write_bytes(b"damaged")
    assert again(jobs, Strength.NORMAL).decision is Decision.RESTORED
    assert len(chain.given) == 3


def test_full_results_take_no_more_room_than_the_settings_say(
    home, jobs, arrived, told, use, smoothing, configure, monkeypatch
):
    told(Category.SUPER_RESOLUTION)
    use(smoothing())
    configure(FULL_RESULTS_MEGABYTES=2)
    folder = home / "state/full-results"
    monkeypatch.setattr(full_results, "MEGA", 900_000)
    for name in ("a.jpg", "b.jpg", "c.jpg"):  # each 400 x 400 x 3 x 2 bytes, 0.96 MB
        arrived(name, Wish())
        restore(runtime.claim())
    assert [file.name[:2] for file in folder.iterdir()] == ["3-"]
    configure(FULL_RESULTS_MEGABYTES=0)
    arrived("d.jpg", Wish())
    restore(runtime.claim())
    assert search.get(jobs.engine, 4).decision is Decision.RESTORED
    assert not list(folder.glob("4-*"))


def test_a_copy_of_a_photo_is_mended_anew_where_the_strength_is_another(
    home, jobs, arrived, told, use, smoothing, configure
):
    told(Category.SUPER_RESOLUTION)
    chain = smoothing()
    use(chain)
    arrived()
    restore(runtime.claim())
    assert arrived("same.jpg").reason == "the result of cat.jpg, the same photo"
    configure(RULES=[{"match": "gentle*", "strength": "gentle"}])
    assert arrived("gentle.jpg").status is Status.QUEUED
    restore(runtime.claim())
    assert search.get(jobs.engine, 3).receipt["strength"] == "gentle"


def test_a_tagged_photo_keeps_what_the_owner_asked_for(home, jobs, arrived, told, use, smoothing):
    told(Category.CLEAN)
    use(smoothing())
    arrived(wish=Wish(Category.REFLECTION, Strength.GENTLE))
    restore(runtime.claim())
    photo = home / "gallery/cat.jpg"
    jpeg = photo.read_bytes()
    photo.write_bytes(jpeg[:2] + b"\xff\xfe\x00\x07hello" + jpeg[2:])
    galleries.add(jobs.engine, "g", Path(), {"cat.jpg": seen("cat.jpg", 2)})
    classify(dataclasses.replace(runtime.claim(), fingerprint=seen("cat.jpg")))
    tagged = search.get(jobs.engine, 2)
    assert (tagged.decision, tagged.category) == (Decision.RESTORED, Category.REFLECTION)
    assert tagged.wish == {"category": "reflection", "strength": "gentle"}
