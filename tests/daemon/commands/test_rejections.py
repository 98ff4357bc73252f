"""A command is killed while it moves a result: nothing is lost or doubled, and maintenance ends the move."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import actions, maintenance, rejections
from storage import publishing, trash
from storage.beneath import Beneath
from storage.database import moves, reviews, search
from storage.enums import Decision, Review

pytestmark = pytest.mark.usefixtures("own_session")
FAILPOINTS = str(Path(__file__).parents[2] / "failpoints")
PHOTOMEND = Path(sys.executable).with_name("photomend")


def files(home) -> list[bytes]:
    """The contents of all results, in their places and in the trash."""
    found = (path for path in (home / "output").rglob("*") if path.is_file())
    return [path.read_bytes() for path in found if not path.name.startswith(".photomend-")]


def kill_at(home, point: str, *words: str, **environment: str) -> None:
    """Run a command that is killed at a point."""
    env = os.environ | {
        "PYTHONPATH": FAILPOINTS, "FAILPOINT": point, "FAILPOINT_HOW": "kill",
        "FAILPOINT_MARK": str(home / "failed"),
    }  # fmt: skip
    ended = subprocess.run([PHOTOMEND, *words], env=env | environment, cwd=home, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (home / "failed").exists()


@pytest.fixture
def a_while_later(monkeypatch):
    """Whatever a process has begun, it has ended by now."""
    monkeypatch.setattr(moves, "MOVING_SECONDS", 0.0)


@pytest.mark.parametrize("days", ["30", "0"])
@pytest.mark.parametrize("point", ["reject begun", "in the trash", "rejected"])
def test_a_reject_that_was_killed_ends_by_itself(home, jobs, mended, a_while_later, point, days):
    kill_at(home, point, "reject", "1", PHOTOMEND_TRASH_DAYS=days)
    if days == "30":
        assert files(home) == [b"result"]
    maintenance.go_on(jobs)
    job = search.get(jobs.engine, 1)
    assert (job.review, job.decision, job.output) == (
        Review.REJECTED, Decision.KEPT_ORIGINAL, None,
    )  # fmt: skip
    assert not (home / "output/cat.jpg").exists()
    told = [event.event for event in search.events(jobs.engine, 1)]
    assert told.count(reviews.REJECTED) == 1
    if days == "30":
        assert files(home) == [b"result"]
        [outcome] = actions.restore([job])
        assert outcome.reason is None
        assert search.get(jobs.engine, 1).output == mended.output
        assert files(home) == [b"result"]
        assert (home / "output/cat.jpg").exists()


@pytest.mark.parametrize("point", ["restore begun", "out of the trash"])
def test_a_restore_that_was_killed_ends_by_itself(run, home, jobs, mended, a_while_later, point):
    run("reject", 1)
    kill_at(home, point, "restore", "1")
    assert files(home) == [b"result"]
    maintenance.go_on(jobs)
    job = search.get(jobs.engine, 1)
    assert (job.review, job.decision, job.sha256) == (None, Decision.RESTORED, mended.sha256)
    assert job.receipt == mended.receipt
    assert publishing.sha256(home / "output/cat.jpg") == mended.sha256
    assert files(home) == [b"result"]


def test_a_move_that_a_living_process_makes_is_left_to_it(jobs, mended):
    assert moves.begin_reject(jobs.engine, mended)
    assert moves.interrupted(jobs.engine) == []
    rejections.go_on(jobs.engine)
    assert search.get(jobs.engine, 1).review is Review.REJECTING


def test_two_processes_that_make_the_same_move_do_not_undo_each_other(home, jobs, mended):
    moves.begin_reject(jobs.engine, mended)
    rejections.reject(jobs.engine, search.get(jobs.engine, 1))
    assert rejections.reject(jobs.engine, mended) is None  # it looked before the other began
    assert rejections._is_now(jobs.engine, mended, Review.REJECTED)
    assert not (home / "output/cat.jpg").exists()
    assert files(home) == [b"result"]


def test_a_result_that_was_changed_after_a_kill_stays_and_is_no_longer_being_rejected(
    home, jobs, mended, a_while_later
):
    kill_at(home, "reject begun", "reject", "1")
    (home / "output/cat.jpg").write_bytes(b"painted over")
    maintenance.go_on(jobs)
    job = search.get(jobs.engine, 1)
    assert (job.review, job.output) == (None, mended.output)
    assert files(home) == [b"painted over"]


def test_a_result_that_cannot_be_moved_is_as_before(home, jobs, mended, monkeypatch):
    def fail(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(trash, "put", fail)
    actions.keep([mended])
    [outcome] = actions.reject([search.get(jobs.engine, 1)])
    assert "cannot be moved" in outcome.reason
    assert (outcome.job.review, outcome.job.output) == (Review.KEPT, mended.output)


def test_a_result_that_is_being_rejected_cannot_be_kept(jobs, mended):
    moves.begin_reject(jobs.engine, mended)
    [outcome] = actions.keep([mended])
    assert outcome.reason is not None
    assert search.get(jobs.engine, 1).review is Review.REJECTING


def test_a_rejected_photo_that_was_queued_again_says_where_its_result_is(run, home, jobs, mended):
    run("reject", 1)
    run("retry", 1)
    said = run("restore", 1, code=1).stderr
    [kept] = Path(home / "output" / trash.FOLDER).rglob("1-*")
    assert str(kept) in said and "until" in said
    result = Beneath(home / "output", mended.output)
    assert trash.take_out(result, 1, mended.sha256)
