import os
import time

from storage import preview_requests as requests


def test_a_job_has_one_request_that_one_worker_takes(tmp_path):
    assert requests.of(tmp_path, 7) is None
    for _ in range(3):
        requests.ask(tmp_path, 7)
    assert requests.waiting(tmp_path) == [7]
    assert requests.of(tmp_path, 7).is_pending
    assert requests.take(tmp_path, 7)
    assert not requests.take(tmp_path, 7)
    requests.ask(tmp_path, 7)
    assert requests.waiting(tmp_path) == []
    assert requests.of(tmp_path, 7).is_pending
    assert requests.is_any_drawn(tmp_path)
    requests.finish(tmp_path, 7)
    assert requests.of(tmp_path, 7) is None
    assert not requests.is_any_drawn(tmp_path)


def test_a_reason_stays_until_the_pictures_are_asked_for_again(tmp_path):
    requests.ask(tmp_path, 7)
    requests.take(tmp_path, 7)
    requests.fail(tmp_path, 7, "the photo is gone")
    assert requests.of(tmp_path, 7) == requests.Request(False, "the photo is gone")
    requests.ask(tmp_path, 7)
    assert requests.of(tmp_path, 7).is_pending
    assert [file.name for file in (tmp_path / requests.FOLDER).iterdir()] == ["7.wanted"]


def test_a_worker_that_died_with_a_request_is_named(tmp_path):
    requests.ask(tmp_path, 7)
    os.utime(tmp_path / requests.FOLDER / "7.wanted", (1, 1))  # the limit begins when it is taken
    requests.take(tmp_path, 7)
    assert requests.of(tmp_path, 7).is_pending
    long_ago = time.time() - requests.DRAW_SECONDS - 1
    os.utime(tmp_path / requests.FOLDER / "7.drawing", (long_ago, long_ago))
    assert requests.of(tmp_path, 7) == requests.Request(False, requests.ENDED)
    assert not requests.is_any_drawn(tmp_path)
    requests.ask(tmp_path, 7)
    assert requests.of(tmp_path, 7).is_pending


def test_old_requests_are_removed(tmp_path):
    requests.sweep(tmp_path)
    for job_id, age in ((7, requests.KEPT_SECONDS + 1), (8, 0)):
        requests.ask(tmp_path, job_id)
        then = time.time() - age
        os.utime(tmp_path / requests.FOLDER / f"{job_id}.wanted", (then, then))
    requests.sweep(tmp_path)
    assert requests.waiting(tmp_path) == [8]


def test_only_the_owner_reads_requests(tmp_path):
    requests.ask(tmp_path, 7)
    folder = tmp_path / requests.FOLDER
    assert [path.stat().st_mode & 0o077 for path in (folder, folder / "7.wanted")] == [0, 0]
