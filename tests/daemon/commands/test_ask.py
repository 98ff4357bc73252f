"""What `mend` and `add` queue, and what they leave as it is, by the real console script."""

import json
from pathlib import Path

import pytest
from PIL import Image

from storage import fingerprints
from storage.database import galleries, reviews, search
from storage.enums import AT_ONCE, Category, Decision, Status
from storage.wishes import Wish


@pytest.fixture
def recorded(jobs, home, take_photo):
    """Put a photo into the gallery and record it."""

    def recorded(name):
        path = take_photo(name)
        source = Path(name)
        found = {source.name: fingerprints.of(path.stat())}
        galleries.add(jobs.engine, "g", source.parent, found)

    return recorded


def test_an_unsure_photo_is_queued_with_what_was_asked_for(run, read, jobs, recorded, claim):
    recorded("cat.jpg")
    jobs.finish(claim(), Decision.UNSURE, "perhaps motion blur (0.41, 0.972 needed)")
    shown = run("show", "gallery/cat.jpg").stdout
    assert "(0.41, 0.972 needed); `photomend mend 1` mends it anyway" in shown
    words = ("--as", "motion-blur", "--strength", "gentle", "--even-if-worse")
    [asked] = read("mend", "gallery/cat.jpg", *words)
    assert (asked["status"], asked["rank"], asked["category"]) == ("queued", AT_ONCE, None)
    named = {"category": "motion-blur", "strength": "gentle", "even_if_worse": True}
    assert asked["wish"] == named
    assert "asked for  as motion-blur, gentle, even if it is worse" in run("show", 1).stdout
    assert "job 1 is queued first: cat.jpg" in run("mend", 1).stdout


def test_a_photo_that_is_not_recorded_yet_is(read, jobs, take_photo):
    take_photo("2024/cat.jpg")
    [asked] = read("mend", "gallery/2024/cat.jpg")
    assert (asked["source"], asked["wish"]) == ("2024/cat.jpg", {})
    assert Wish.of(search.get(jobs.engine, 1)) == Wish()


def test_a_result_is_mended_otherwise_by_its_path(read, mended, home):
    Image.new("RGB", (90, 90)).save(home / "gallery/cat.jpg")
    [asked] = read("mend", "output/cat.jpg", "--strength", "strong")
    assert (asked["id"], asked["category"]) == (1, Category.MOTION_BLUR)


def test_what_must_stay_is_named_with_its_reason_and_the_others_are_queued(
    run, jobs, home, recorded, configure_rules
):
    for name in ("cat.jpg", "live.jpg", "off.jpg", "Screenshot_1.jpg", "gone.jpg"):
        recorded(name)
    (home / "gallery/live.mov").touch()
    (home / "gallery/gone.jpg").unlink()
    configure_rules({"match": "off*", "mode": "off"})
    names = ("cat.jpg", "live.jpg", "off.jpg", "Screenshot_1.jpg")
    ended = run("mend", *(f"gallery/{name}" for name in names), 5, code=1)
    assert "job 1 is queued first: cat.jpg" in ended.stdout
    assert "job 4 is queued first: Screenshot_1.jpg" in ended.stdout
    live, off, gone = ended.stderr.splitlines()
    assert live.startswith("photomend: live.jpg stays as it is: ") and "film" in live
    assert off == 'photomend: off.jpg stays as it is: rule 1 ("off*") turns mending off'
    assert gone == "photomend: gone.jpg stays as it is: it is gone"
    assert search.get(jobs.engine, 2).wish is None


@pytest.fixture
def configure_rules(monkeypatch):
    return lambda *rules: monkeypatch.setenv("PHOTOMEND_RULES", json.dumps(rules))


def test_wrong_words_are_refused_in_a_sentence(run, home, recorded):
    recorded("a/cat.jpg")
    assert "is a folder; name photos" in run("mend", "gallery/a", code=2).stderr
    assert "a clean photo is not mended" in run("mend", 1, "--as", "clean", code=2).stderr
    assert "there is no job 7" in run("mend", 7, code=1).stderr
    (home / "gallery/.hidden.jpg").touch()
    assert "is ignored" in run("mend", "gallery/.hidden.jpg", code=1).stderr


def test_a_running_job_stays_as_it_is(run, recorded, claim):
    recorded("cat.jpg")
    claim()
    ended = run("mend", 1)
    assert "job 1 is running, so it stays as it is" in ended.stderr


def test_add_takes_what_was_never_done_and_the_others_only_again(run, read, jobs, recorded, claim):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        recorded(f"2019/{name}")
    jobs.finish(claim(), Decision.CLEAN)
    held = claim()
    jobs.record(held, Path("2019/b.jpg"), "hash", {})
    jobs.finish(held, Decision.RESTORED)
    assert reviews.reject(jobs.engine, search.get(jobs.engine, 2))
    galleries.note_backlog(jobs.engine, "g", Path("2019"), {"old.jpg": "1-1-1"})
    ended = run("add", "gallery/2019")
    assert ended.stdout == "job 3 is queued first: 2019/c.jpg\n"
    assert ended.stderr == (
        "photomend: 2 photos were done before, 1 of them rejected by you; "
        "add --again to mend them again\n"
    )
    assert search.get(jobs.engine, 2).status is Status.DONE
    assert len(read("add", "gallery/2019", "--again")) == 3
    assert search.get(jobs.engine, 2).status is Status.QUEUED


def test_add_takes_backlog_failed_and_cancelled_photos(read, jobs, recorded, take_photo, claim):
    from storage.enums import ErrorKind

    recorded("failed.jpg")
    jobs.end_with_error(claim(), ErrorKind.UNREADABLE, "no image")
    recorded("cancelled.jpg")
    jobs.cancel([2])
    old = fingerprints.of(take_photo("old.jpg").stat())
    galleries.note_backlog(jobs.engine, "g", Path(), {"old.jpg": old})
    added = read("add", "gallery")
    assert {job["source"] for job in added} == {"failed.jpg", "cancelled.jpg", "old.jpg"}
