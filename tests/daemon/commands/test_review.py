"""What `keep`, `reject`, `restore` and `undo` change, and what they leave, on real files."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from daemon import actions
from storage import publishing, trash
from storage.beneath import Beneath
from storage.database import galleries, reviews, search
from storage.enums import Decision, Review


@pytest.fixture
def rejected(run, jobs, home, mended):
    """Return the job of a result that was rejected."""
    run("reject", 1)
    return search.get(jobs.engine, 1)


def in_trash(home) -> list[Path]:
    return [path for path in (home / "output" / trash.FOLDER).rglob("*") if path.is_file()]


def test_what_is_rejected_lies_in_the_trash_without_a_suffix(home, rejected):
    assert (rejected.review, rejected.output) == (Review.REJECTED, None)
    assert rejected.reviewed_at is not None
    [kept] = in_trash(home)
    assert kept.read_bytes() == b"result" and kept.suffix == ""
    assert not (home / "output/cat.jpg").exists()


@pytest.mark.parametrize("words", [("restore", 1), ("undo", 1), ("restore", "gallery")])
def test_a_rejected_result_comes_back(run, jobs, home, mended, rejected, words):
    run(*words)
    job = search.get(jobs.engine, 1)
    assert (job.decision, job.reason, job.review) == (Decision.RESTORED, None, None)
    assert (job.output, job.sha256, job.receipt) == (mended.output, mended.sha256, mended.receipt)
    assert (home / "output/cat.jpg").read_bytes() == b"result"
    assert not in_trash(home)


def test_a_result_comes_back_over_no_other_file(run, jobs, home, rejected):
    (home / "output/cat.jpg").write_bytes(b"the owner's")
    assert "it stays" in run("restore", 1, code=1).stderr
    assert (home / "output/cat.jpg").read_bytes() == b"the owner's"
    assert search.get(jobs.engine, 1).review is Review.REJECTED
    assert in_trash(home)


def test_a_result_that_left_the_trash_cannot_come_back(run, home, rejected):
    assert trash.empty(home / "output", 30) == []
    [kept] = in_trash(home)
    kept.unlink()
    assert "no longer in the trash" in run("restore", 1, code=1).stderr


def test_old_trash_is_removed_but_no_file_that_its_owner_changed(home, rejected):
    [kept] = in_trash(home)
    day = kept.parent.with_name((date.today() - timedelta(days=31)).isoformat())
    kept.parent.rename(day)
    (day / "8-other").write_bytes(b"the owner's")
    assert [file.name for file in trash.empty(home / "output", 30)] == ["8-other"]
    assert [path.name for path in in_trash(home)] == ["8-other"]
    (day / "8-other").unlink()
    trash.empty(home / "output", 30)
    assert not day.exists()


def test_an_interrupted_reject_or_restore_goes_on(run, jobs, home, mended):
    result = Beneath(home / "output", Path("cat.jpg"))
    assert trash.put(result, 1, mended.sha256)  # killed here
    run("reject", 1)
    assert trash.take_out(result, 1, mended.sha256)  # killed here
    run("restore", 1)
    assert search.get(jobs.engine, 1).decision is Decision.RESTORED
    assert publishing.sha256(result) == mended.sha256


def test_a_file_that_is_changed_while_it_is_moved_goes_back(home, mended, monkeypatch):
    result = Beneath(home / "output", Path("cat.jpg"))
    real = publishing.sha256

    def change_after(file):
        found = real(file)
        result.path.write_bytes(b"painted over")
        return found

    monkeypatch.setattr(publishing, "sha256", change_after)
    assert not trash.put(result, 1, mended.sha256)
    assert result.path.read_bytes() == b"painted over"
    assert not in_trash(home)


def test_sweeps_leave_the_trash_alone(home, rejected):
    assert list(publishing.temporaries(home / "output")) == []
    assert list(publishing.put_aside(home / "output")) == []


def test_without_days_a_rejected_result_is_removed_at_once(run, home, mended):
    run("reject", 1, PHOTOMEND_TRASH_DAYS="0")
    assert not in_trash(home) and not (home / "output/cat.jpg").exists()


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--all",), 1),
        (("output",), 1),
        (("gallery",), 1),
        (("--category", "motion-blur"), 1),
        (("--category", "reflection"), 0),
        (("--since", "2020-01-01"), 1),
        (("--since", "2999-01-01"), 0),
        (("gallery", "--category", "reflection"), 0),
    ],
)
def test_results_are_chosen_and_a_dry_run_rejects_none(read, jobs, home, mended, words, count):
    assert len(read("reject", *words, "--dry-run")) == count
    assert (home / "output/cat.jpg").exists()
    assert len(read("reject", *words)) == count
    assert (search.get(jobs.engine, 1).review is Review.REJECTED) == bool(count)


def test_what_is_kept_is_recorded_until_it_is_undone_or_made_again(run, jobs, mended):
    run("keep", "gallery/cat.jpg")
    assert search.get(jobs.engine, 1).review is Review.KEPT
    assert search.events(jobs.engine, 1)[-1].event == "kept by the owner"
    run("undo", 1)
    assert search.get(jobs.engine, 1).review is None
    run("keep", "output")
    run("retry", 1)
    assert search.get(jobs.engine, 1).review is None


def test_keep_of_a_rejected_result_names_the_way_back(run, jobs, mended):
    run("reject", 1)
    told = run("keep", 1, code=1).stderr
    assert "you rejected the result of 1; `photomend restore 1` brings it back" in told
    run("restore", 1)
    run("keep", 1)
    assert search.get(jobs.engine, 1).review is Review.KEPT


def test_the_reason_of_each_job_that_stays_is_returned(jobs, home, mended, claim):
    galleries.add(jobs.engine, "g", Path(), {"b.jpg": "1"})
    jobs.finish(claim(), Decision.CLEAN)
    found = [search.get(jobs.engine, number) for number in (1, 2)]
    first, second = actions.keep(found)
    assert first.reason is None and first.job.review is Review.KEPT
    assert second.reason == "job 2 has no result: it is done" and second.job.review is None
    (home / "output/cat.jpg").write_bytes(b"painted over")
    assert "was changed" in actions.reject(found)[0].reason
    assert reviews.rejected(found[0]) is None
