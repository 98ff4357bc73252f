"""A GPU that is lost, busy, small or slow, through the daemon: no photo fails for it."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from PIL import Image

pytest.importorskip("torch", reason="the paper engine needs torch")

from storage.database.records import Job
from storage.database.tables import jobs as table
from storage.database.tables import workers
from storage.enums import Decision, Degradation, EnlargingNet, ErrorKind, Status

SECONDS = 600


def every(jobs) -> list[Job]:
    with jobs.engine.connect() as connection:
        return list(map(Job.of, connection.execute(sa.select(table).order_by(table.c.id))))


def trouble(jobs):
    with jobs.engine.connect() as connection:
        return connection.scalar(sa.select(workers.c.trouble))


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """The folder whose files say what the GPU does."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    monkeypatch.setenv("FAKE_GPU", str(folder))
    return folder


@pytest.fixture
def take_noisy_photo(take_photo):
    """Add a photo of one patch of InvSR; each has noise of its own."""

    def take(name, seed):
        photo = take_photo(name)
        with Image.open(photo) as picture:
            part = np.asarray(picture.convert("RGB").crop((0, 0, 128, 128)), np.float32)
        noise = np.random.default_rng(seed).normal(0, 25, part.shape)
        Image.fromarray(np.clip(part + noise, 0, 255).astype(np.uint8)).save(photo)

    return take


@pytest.fixture
def moved_photos(take_photo):
    """Four photos of which none has the content of another."""
    for number in range(4):
        photo = take_photo(f"{number}.png", kind=Degradation.MOTION)
        with Image.open(photo) as picture:
            picture.crop((0, 0, picture.width, picture.height - number)).save(photo)


def all_restored(jobs):
    found = every(jobs)
    assert not [job.error for job in found if job.status is Status.FAILED or job.attempts]
    return len(found) == 4 and all(job.decision is Decision.RESTORED for job in found)


def said(home, text):
    return (home / "log").read_text(errors="replace").count(text)


@pytest.fixture
def report(redis_server, monkeypatch):
    """Return what `photomend status` says."""
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    command = [Path(sys.executable).parent / "photomend", "status", "--check", "--json"]

    def read():
        return json.loads(subprocess.run(command, capture_output=True, check=False).stdout)

    return read


def test_a_gpu_that_is_lost_costs_no_attempt_and_the_next_process_goes_on(
    home, jobs, gpu, moved_photos, start_paper_engine, eventually
):
    (gpu / "lost once").write_text("30")
    start_paper_engine(steps=["motion-blur"])
    eventually(lambda: all_restored(jobs), SECONDS)
    assert trouble(jobs) is None
    assert said(home, "the GPU is lost: CUDA error: unspecified launch failure") == 1
    assert said(home, "works again") == 1


def test_a_gpu_that_stays_lost_holds_its_queues_and_is_told_once(
    home, jobs, gpu, moved_photos, start_paper_engine, eventually, report
):
    (gpu / "lost").touch()
    start_paper_engine(steps=["motion-blur"])
    eventually(lambda: all(job.category for job in every(jobs)) and trouble(jobs), SECONDS)
    assert {job.status for job in every(jobs)} <= {Status.QUEUED, Status.RUNNING}
    status = report()
    assert any("the GPU is lost" in problem for problem in status["problems"])
    assert status["workers"][0]["trouble_at"] < status["now"]
    (gpu / "lost").unlink()
    eventually(lambda: all_restored(jobs), SECONDS)
    assert said(home, "the GPU is lost") == 1


def test_a_busy_gpu_is_waited_for_and_a_small_one_gets_small_tiles(
    home, jobs, gpu, moved_photos, start_paper_engine, eventually
):
    (gpu / "busy").touch()
    start_paper_engine(steps=["motion-blur"])
    eventually(lambda: "to load the networks" in (trouble(jobs) or ""), SECONDS)
    (gpu / "full").touch()
    (gpu / "others").write_text("6")
    (gpu / "busy").unlink()
    eventually(lambda: "other programs hold 7.0 GiB" in (trouble(jobs) or ""), SECONDS)
    assert {job.error_kind for job in every(jobs)} <= {ErrorKind.GPU_BUSY, None}
    (gpu / "cufft").touch()
    (gpu / "pixels").write_text("70000")
    (gpu / "full").unlink()
    eventually(lambda: all_restored(jobs), SECONDS)
    assert said(home, "too little memory: the side of tiles in pixels is now 256") >= 4
    assert said(home, "too little memory is free to load the networks") == 1


def test_a_worker_that_started_without_its_gpu_goes_back_to_it_by_itself(
    home, jobs, gpu, take_photo, start_paper_engine, eventually, report
):
    (gpu / "card").touch()
    (gpu / "unusable").touch()
    first = take_photo("first.png", kind=Degradation.MOTION)
    start_paper_engine(steps=["motion-blur"])
    eventually(lambda: [job.status for job in every(jobs)] == [Status.DONE], SECONDS)
    [by_lite] = every(jobs)
    eventually(lambda: trouble(jobs), SECONDS)
    status = report()
    [problem] = status["problems"]
    assert "lite takes its steps" in problem
    assert "CUDA unknown error" in problem
    assert status["workers"][0]["device"] == "cpu"
    (gpu / "unusable").unlink()
    eventually(lambda: trouble(jobs) is None, SECONDS)
    with Image.open(first) as picture:
        picture.crop((0, 0, picture.width, picture.height - 1)).save(first.with_name("next.png"))
    eventually(lambda: [job.status for job in every(jobs)] == 2 * [Status.DONE], SECONDS)
    status = report()
    assert (status["workers"][0]["device"], status["problems"]) == ("A fake GPU", [])
    by_paper = every(jobs)[1]
    assert "NAFNet" not in str(by_lite.receipt)
    assert "NAFNet" in str(by_paper.receipt)
    assert by_paper.decision is Decision.RESTORED
    assert said(home, "since the GPU cannot be used") == 1
    assert said(home, "the GPU can be used again") == 1


@pytest.mark.parametrize(
    ("net", "name", "again"),
    [
        (EnlargingNet.REAL_ESRGAN, "Real-ESRGAN", "a tile exceeds the range of torch.bfloat16"),
        (EnlargingNet.INVSR, "InvSR", "1 patches exceed the range of torch.bfloat16"),
    ],
)
def test_numbers_that_overflow_are_computed_again_and_a_net_without_any_makes_no_copy(
    home, jobs, gpu, take_noisy_photo, start_paper_engine, eventually, net, name, again
):
    (gpu / "half").touch()
    (gpu / "overflow").touch()
    take_noisy_photo("overflow.png", 0)
    start_paper_engine(steps=["super-resolution"], enlarging_net=net)
    eventually(lambda: [job.status for job in every(jobs)] == [Status.DONE], SECONDS)
    assert said(home, again)
    (gpu / "nan").touch()
    take_noisy_photo("nan.png", 1)
    eventually(lambda: [job.status for job in every(jobs)] == 2 * [Status.DONE], SECONDS)
    (gpu / "nan").unlink()
    (gpu / "overflow").unlink()
    take_noisy_photo("fine.png", 2)
    eventually(lambda: [job.status for job in every(jobs)] == 3 * [Status.DONE], SECONDS)
    overflowed, bad, fine = every(jobs)
    assert {job.attempts for job in every(jobs)} == {0}
    assert bad.decision is Decision.KEPT_ORIGINAL
    assert bad.reason == f"{name} returned values that are not finite, even in float32"
    assert not (home / "output/nan.png").exists()
    for job in (overflowed, fine):
        assert "not finite" not in (job.reason or "")
        assert job.receipt["guard"]


@pytest.fixture
def game():
    """Another program."""
    with subprocess.Popen(["sleep", "600"]) as started:
        yield started
        started.kill()


def computing(worker):
    """Return the processes of a worker that compute."""
    found = []
    for child in worker.children():
        with suppress(psutil.Error):  # it has just ended
            if "spawn" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_a_gpu_is_left_to_a_program_that_computes_on_it_and_is_empty_when_idle(
    home, jobs, gpu, game, moved_photos, start_paper_engine, eventually, report, monkeypatch
):
    (gpu / "card").touch()
    (gpu / "game").write_text(str(game.pid))
    monkeypatch.setenv("PHOTOMEND_IDLE_SECONDS", "5")
    worker = psutil.Process(start_paper_engine(steps=["motion-blur"]).pid)
    eventually(lambda: all(job.category for job in every(jobs)) and trouble(jobs), SECONDS)
    assert trouble(jobs) == "other programs compute on the GPU (sleep)"
    assert any("(sleep)" in problem for problem in report()["problems"])
    assert {job.decision for job in every(jobs)} == {None}
    (gpu / "game").write_text(str(worker.pid))  # its children compute
    eventually(lambda: all_restored(jobs), SECONDS)
    assert trouble(jobs) is None
    eventually(lambda: not computing(worker), SECONDS)


def test_two_workers_share_a_gpu_that_holds_the_networks_of_one(
    home, jobs, gpu, take_photo, take_noisy_photo, start_paper_engine, eventually, monkeypatch
):
    monkeypatch.setenv("PHOTOMEND_IDLE_SECONDS", "10")
    (gpu / "card").touch()
    (gpu / "small").touch()
    take_photo("moved.png", kind=Degradation.MOTION)
    take_noisy_photo("noisy.png", 0)
    start_paper_engine(
        steps=["super-resolution", "motion-blur"], enlarging_net=EnlargingNet.REAL_ESRGAN,
        workers=[("classify", "motion-blur"), ("super-resolution", "reflection")],
    )  # fmt: skip
    eventually(lambda: [job.status for job in every(jobs)] == 2 * [Status.DONE], SECONDS)
    assert {job.attempts for job in every(jobs)} == {0}
    assert said(home, "too little memory is free to load the networks") == 1
    assert said(home, "the GPU works again") == 1
