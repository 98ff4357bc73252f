"""What the owner says is written beside the results at once, or later by maintenance."""

import json
from pathlib import Path

import pytest

from daemon import maintenance
from storage import owners_word, publishing
from storage.database import galleries, search, wishes
from storage.enums import Category, Review, Strength
from storage.owners_word import FILE, Word
from storage.wishes import Wish

CAT = Path("cat.jpg")


@pytest.fixture
def written(home):
    return lambda: dict(owners_word.read(home / "output").by_photo)


@pytest.fixture
def mended(mended, jobs):
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET content_hash = ?", ("c" * 64,))
    return search.get(jobs.engine, mended.id)


@pytest.mark.slow
def test_each_word_is_written_and_taken_back(run, home, mended, written):
    run("keep", 1)
    assert written() == {CAT: Word(Review.KEPT, None, "c" * 64)}
    run("undo", 1)
    assert written() == {}
    run("reject", 1)
    assert written() == {CAT: Word(Review.REJECTED, None, "c" * 64, mended.sha256)}
    run("restore", 1)
    assert written() == {}
    run("mend", 1, "--as", "reflection", "--strength", "strong")
    asked = Word(None, Wish(Category.REFLECTION, Strength.STRONG), "c" * 64)
    assert written() == {CAT: asked}
    run("cancel", 1)
    run("retry", 1)
    assert written() == {CAT: asked}
    run("cancel", 1)
    run("retry", 1, "--from-scratch")
    assert written() == {}


@pytest.mark.parametrize("again", [("retry", "1"), ("add", "--again", "gallery")])
def test_a_rejected_photo_that_is_tried_again_is_no_longer_rejected(run, mended, written, again):
    run("reject", 1)
    assert written()[CAT].review is Review.REJECTED
    run(*again)
    assert written() == {}


def test_what_cannot_be_written_is_written_later(run, home, jobs, mended, written, caplog):
    (home / "output" / FILE).mkdir()
    run("keep", 1)
    maintenance.clean_up(jobs)
    assert "your word on its photos is written beside the results later" in caplog.text
    assert search.get(jobs.engine, 1).review is Review.KEPT
    (home / "output" / FILE).rmdir()
    maintenance.clean_up(jobs)
    assert written() == {CAT: Word(Review.KEPT, None, "c" * 64)}


def test_nothing_is_written_into_an_output_that_is_away(run, home, jobs, mended, written):
    (home / "output").rename(home / "elsewhere")
    (home / "output").mkdir()  # its mount point
    run("keep", 1)
    maintenance.clean_up(jobs)
    assert not list((home / "output").iterdir())
    (home / "output").rmdir()
    (home / "elsewhere").rename(home / "output")
    maintenance.clean_up(jobs)
    assert written()[CAT].review is Review.KEPT


def test_what_was_taken_back_while_the_output_was_away_is_taken_back_later(
    run, home, jobs, mended, written
):
    run("keep", 1)
    (home / "output").rename(home / "elsewhere")
    run("undo", 1)
    (home / "elsewhere").rename(home / "output")
    assert written()
    maintenance.clean_up(jobs)
    assert written() == {}


def test_a_word_of_before_this_database_stays_until_the_owner_says_another(
    home, jobs, mended, written
):
    word = Word(Review.REJECTED, None, "d" * 64)
    owners_word.append(home / "output", {CAT: word, Path("unknown.jpg"): word})
    maintenance.clean_up(jobs)
    assert written() == {CAT: word, Path("unknown.jpg"): word}


def test_maintenance_writes_what_older_versions_did_not(home, jobs, mended, written):
    galleries.add(jobs.engine, "g", Path("2024"), {"b.jpg": "1", "c.jpg": "1"})
    wishes.ask(jobs.engine, [2], Wish(Category.REFLECTION))
    maintenance.clean_up(jobs)
    assert written() == {Path("2024/b.jpg"): Word(None, Wish(Category.REFLECTION))}
    before = (home / "output" / FILE).read_bytes()
    maintenance.clean_up(jobs)
    assert (home / "output" / FILE).read_bytes() == before


def test_what_is_written_beside_the_originals_of_a_gallery_that_is_online(
    run, home, jobs, mended, monkeypatch
):
    gallery = {"path": str(home / "gallery"), "name": "digikam"}
    beside = {"PHOTOMEND_GALLERIES": json.dumps({"g": gallery})}
    (home / "gallery/cat_v1.jpg").write_bytes(b"result")
    run("keep", 1, **beside)
    assert not (home / "gallery" / FILE).exists()  # the gallery is not known to be there
    galleries.note(
        jobs.engine, "g", host="h", root=home / "gallery", output=home / "gallery", online=True,
        filesystem="ext4", watching="events",
    )  # fmt: skip
    run("undo", 1, **beside)
    run("keep", 1, **beside)
    assert (home / "gallery" / FILE).exists()
    assert publishing.sha256(home / "output/cat.jpg") == mended.sha256
