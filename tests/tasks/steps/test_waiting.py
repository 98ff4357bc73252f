"""Results that wait for the owner: nothing is published before they are kept."""

import shutil
from pathlib import Path

import pytest

from daemon import actions, maintenance
from daemon.console import session
from storage import preview_files, publishing, waiting_results
from storage.database import galleries, holds, reviews, search, status, wishes
from storage.enums import CLASSIFY, Category, Decision, Degradation, ErrorKind, Review, Status
from storage.errors import OutputFull
from storage.settings import settings
from storage.wishes import Wish
from tasks.guarding.limits import Limit
from tasks.steps import drawing
from tasks.steps.classify import classify
from tasks.steps.restore import restore
from tasks.worker import runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker", "lenient")


@pytest.fixture
def mend(jobs, take_photo, monkeypatch, given_verdict, use, smoothing):
    """Take both steps of a photo of the gallery, and return its job."""
    verdict = given_verdict(Category.REFLECTION)
    monkeypatch.setattr(runtime, "classifier", lambda: verdict)
    chain = smoothing()
    use(chain)

    def mend(name="cat.jpg", wish=None, kind=Degradation.NOISE):
        take_photo(name, kind=kind)
        [job_id] = galleries.add(jobs.engine, "g", Path(), {name: seen(name)})
        if wish is not None:
            wishes.ask(jobs.engine, [job_id], wish)
        classify(runtime.claim([CLASSIFY]))
        if (claim := runtime.claim()) is not None:
            restore(claim)
        return search.get(jobs.engine, job_id)

    mend.chain = chain
    return mend


@pytest.fixture
def published(home):
    """Return the names of the photos in the output folder."""

    def published():
        names = {path.name for path in home.rglob("output/*")}
        return names - {publishing.MARKER}

    return published


@pytest.fixture
def do(jobs, monkeypatch):
    """Do something with a job as its owner; return the job, or why it was not changed."""
    monkeypatch.setattr(session, "engine", lambda: jobs.engine)

    def do(action, job):
        [outcome] = action([search.get(jobs.engine, job.id)])
        return outcome.reason or outcome.job

    return do


@pytest.fixture
def waiting(configure, mend):
    configure({"publish": "after review"})
    return mend()


def kept_file(job):
    return waiting_results.file(settings().state_dir, job)


@pytest.mark.parametrize(
    "values",
    [
        {"gallery": {"publish": "after review"}},
        {"RULES": [{"match": "*", "publish": "after review"}]},
        {"RULES": [{"match": "*", "mode": "ask"}]},
    ],
)
def test_a_result_waits_and_is_published_when_it_is_kept(
    jobs, configure, mend, do, published, values
):
    configure(**values)
    job = mend()
    assert (job.decision, job.review, job.output) == (Decision.RESTORED, Review.WAITING, None)
    assert not published()
    assert kept_file(job) is not None
    queued = do(actions.keep, job)
    assert (queued.status, queued.review) == (Status.QUEUED, Review.KEPT)
    restore(runtime.claim())
    job = search.get(jobs.engine, job.id)
    assert (job.decision, job.review) == (Decision.RESTORED, Review.KEPT)
    assert published() == {"cat.jpg"}
    assert len(mend.chain.given) == 1


def test_a_rule_may_publish_at_once_what_its_gallery_lets_wait(configure, mend, published):
    configure({"publish": "after review"}, RULES=[{"match": "c*", "publish": "at once"}])
    assert mend().review is None
    assert mend("dog.jpg").review is Review.WAITING
    assert published() == {"cat.jpg"}


def test_a_result_whose_file_was_lost_or_changed_is_made_again(jobs, waiting, mend, do, published):
    kept_file(waiting).write_bytes(b"something else")
    do(actions.keep, waiting)
    restore(runtime.claim())
    job = search.get(jobs.engine, waiting.id)
    assert (job.decision, job.review, published()) == (Decision.RESTORED, Review.KEPT, {"cat.jpg"})
    assert len(mend.chain.given) == 2


def test_a_waiting_result_is_rejected_and_comes_back(waiting, do, published):
    rejected = do(actions.reject, waiting)
    assert (rejected.decision, rejected.review) == (Decision.KEPT_ORIGINAL, Review.REJECTED)
    maintenance.sweep_waiting_results(runtime.jobs())
    back = do(actions.restore, rejected)
    assert (back.decision, back.review, back.reason) == (Decision.RESTORED, Review.WAITING, None)
    assert kept_file(back) is not None and not published()


def test_what_was_kept_waits_again_after_an_undo(jobs, waiting, do, published):
    do(actions.keep, waiting)
    assert do(actions.undo, waiting).review is Review.WAITING  # before a worker saw it
    assert runtime.claim() is None
    do(actions.keep, waiting)
    restore(runtime.claim())
    maintenance.sweep_waiting_results(runtime.jobs())
    assert published() == {"cat.jpg"}
    job = do(actions.undo, waiting)
    assert (job.review, job.output, job.status) == (Review.WAITING, None, Status.DONE)
    assert not published() and kept_file(job) is not None
    do(actions.keep, job)
    restore(runtime.claim())
    assert published() == {"cat.jpg"}


@pytest.mark.parametrize("died_in", [(publishing, "remove"), (reviews, "wait_again")])
def test_an_undo_that_was_killed_is_done_again(jobs, waiting, do, published, monkeypatch, died_in):
    do(actions.keep, waiting)
    restore(runtime.claim())
    with monkeypatch.context() as patch:
        patch.setattr(*died_in, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            do(actions.undo, waiting)
    job = do(actions.undo, waiting)
    assert (job.review, job.output) == (Review.WAITING, None)
    assert not published() and kept_file(job) is not None


def test_the_pictures_of_a_waiting_result_are_drawn_again(waiting):
    root = settings().state_dir
    shutil.rmtree(root / preview_files.FOLDER)
    assert drawing._draw(waiting) is None
    assert preview_files.of(root, waiting.id).crop_after is not None
    kept_file(waiting).unlink()
    assert drawing._draw(waiting) == drawing.LOST


def test_an_undo_leaves_a_result_that_its_owner_changed(home, waiting, do):
    do(actions.keep, waiting)
    restore(runtime.claim())
    (home / "output/cat.jpg").write_bytes(b"the owner's")
    assert "was changed" in do(actions.undo, waiting)
    assert (home / "output/cat.jpg").read_bytes() == b"the owner's"


def test_an_earlier_result_stays_until_the_newer_one_is_kept(
    jobs, home, configure, mend, do, published
):
    job = mend()
    first = publishing.sha256(home / "output/cat.jpg")
    configure({"publish": "after review"})
    for action, same in ((actions.reject, True), (actions.keep, False)):
        wishes.ask(jobs.engine, [job.id], Wish())
        restore(runtime.claim())
        assert search.get(jobs.engine, job.id).review is Review.WAITING
        assert publishing.sha256(home / "output/cat.jpg") == first
        do(action, job)
        if (claim := runtime.claim()) is not None:
            restore(claim)
        job = search.get(jobs.engine, job.id)
        assert (job.decision, job.output) == (Decision.RESTORED, Path("cat.jpg"))
        assert (publishing.sha256(home / "output/cat.jpg") == first) is same


def test_sweeps_remove_what_nobody_will_look_at(jobs, home, waiting, do, monkeypatch):
    folder = settings().state_dir / waiting_results.FOLDER
    (folder / "99.jpg").touch()
    (folder / "notes").touch()
    maintenance.sweep_waiting_results(runtime.jobs())
    assert {path.name for path in folder.iterdir()} == {"1.jpg", "notes"}
    do(actions.keep, waiting)
    maintenance.sweep_waiting_results(runtime.jobs())
    assert kept_file(waiting) is not None
    restore(runtime.claim())
    monkeypatch.setattr(waiting_results, "LEFT_SECONDS", -1.0)
    maintenance.sweep_waiting_results(runtime.jobs())
    assert not list(folder.iterdir())


def test_a_sweep_leaves_what_is_written_and_what_could_not_be_published(jobs, waiting, do):
    folder = settings().state_dir / waiting_results.FOLDER
    [queued] = galleries.add(jobs.engine, "g", Path(), {"dog.jpg": "1-2-3"})
    (folder / f"{queued}.jpg").touch()  # by a claim that has not ended
    do(actions.keep, waiting)
    jobs.finish(runtime.claim(["reflection"]), Decision.LEFT_ALONE, "its name is taken")
    maintenance.sweep_waiting_results(runtime.jobs())
    assert {path.name for path in folder.iterdir()} == {"1.jpg", f"{queued}.jpg"}


def test_the_result_of_an_older_version_goes_while_the_newer_one_waits(configure, mend, published):
    mend()
    configure({"publish": "after review"}, LEAST_CHANGE="any")
    assert mend(kind=Degradation.MOTION).review is Review.WAITING
    assert not published()


def test_a_photo_that_is_tagged_while_its_result_waits_gets_a_waiting_result_of_its_own(
    jobs, home, configure, mend
):
    job = mend()
    configure({"publish": "after review"})
    wishes.ask(jobs.engine, [job.id], Wish())
    restore(runtime.claim())
    newer = mend()
    assert newer.id != job.id and newer.review is Review.WAITING
    assert kept_file(newer).name == f"{newer.id}.jpg"


def test_a_result_that_can_wait_ends_the_hold_of_its_gallery(jobs, home, configure, mend):
    configure({"publish": "after review"})
    galleries.note(
        jobs.engine, "g", host="h", root=home / "gallery", output=home / "output",
        filesystem="ext4", watching="events", online=True,
    )  # fmt: skip
    holds.hold_gallery(jobs.engine, "g", ErrorKind.DISK_FULL, "full", least_seconds=0)
    mend()
    assert status.galleries_known(jobs.engine)[0].trouble_at is None


def test_a_copy_of_a_photo_is_not_published_by_the_result_of_another(
    configure, mend, published, home
):
    mend()
    configure({"publish": "after review"})
    assert mend("copy.jpg").review is Review.WAITING
    assert published() == {"cat.jpg"}


def test_a_full_state_disk_is_noticed_before_anything_is_computed(configure, mend):
    configure({"publish": "after review"}, MIN_FREE_MEGABYTES=10**9)
    with pytest.raises(OutputFull, match="would be free"):
        mend()
    assert not mend.chain.given


def test_a_refused_result_is_for_the_owner_s_eyes_only(
    jobs, mend, do, published, monkeypatch, configure
):
    nothing = {"block_shift": Limit("the shift", 0.0)}
    monkeypatch.setattr("tasks.guard.limits.BLOCKS", dict.fromkeys(Category, nothing))
    plain = mend("dog.jpg", Wish())
    assert (plain.decision, plain.review) == (Decision.KEPT_ORIGINAL, None)
    job = mend(wish=Wish(even_if_worse=True))
    assert (job.decision, job.review) == (Decision.KEPT_ORIGINAL, Review.WAITING)
    assert job.reason and kept_file(job) is not None
    assert "for your eyes only" in do(actions.keep, job)
    assert not published()
    rejected = do(actions.reject, job)
    assert rejected.review is Review.REJECTED
    back = do(actions.restore, rejected)
    assert (back.decision, back.reason) == (Decision.KEPT_ORIGINAL, job.reason)
