"""A worker whose GPU is lost or busy holds the queues that need it, and tries it with one job."""

import json
import os
import time
from pathlib import Path

import pytest

from storage.database import galleries, holds, remaining, search, workers
from storage.enums import CLASSIFY, Category, Decision, ErrorKind, Status
from storage.errors import GpuBusy, GpuLost
from storage.settings import settings
from tasks import gpu_probe, loading
from tasks.lite import gpu_trial, onnx_nets
from tasks.steps import run_step as steps
from tasks.worker import device, gpu_use, heartbeat, idle, runtime
from tests.recorded import seen

pytestmark = pytest.mark.usefixtures("worker")


class Gpu:
    """A step that needs the GPU, which raises `trouble` while there is any."""

    trouble: Exception | None = None

    def __init__(self):
        self.jobs = []

    def __call__(self, job):
        self.jobs.append(job.id)
        if self.trouble is not None:
            raise self.trouble
        runtime._loaded[Category.MOTION_BLUR, True] = object()
        runtime.jobs().finish(job, Decision.CLEAN)


@pytest.fixture
def gpu(jobs, monkeypatch):
    """Three photos that wait for the GPU, and a fourth that waits for a step of lite."""
    monkeypatch.setenv("PHOTOMEND_RETRY_PAUSE_SECONDS", "30")
    monkeypatch.setenv(gpu_probe.WAS_LOST, "")  # restored at the end
    settings.cache_clear()
    runtime.jobs.cache_clear()
    gpu = Gpu()
    monkeypatch.setattr(steps, "restore", gpu)
    monkeypatch.setattr(steps, "classify", lambda job: jobs.finish(job, Decision.CLEAN))
    monkeypatch.setattr(device, "needs_device", lambda queue: queue != CLASSIFY)
    monkeypatch.setattr(runtime, "_loaded", {})
    runtime.classifier.cache_clear()
    galleries.add(
        jobs.engine, "g", Path(), {f"{number}.jpg": seen(f"{number}.jpg") for number in range(4)}
    )
    with jobs.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET category = 'motion-blur', queue = 'motion-blur' WHERE id < 4"
        )
        connection.exec_driver_sql("UPDATE jobs SET due_at = due_at - 1 + id / 1000.0")  # in order
    heartbeat.record()
    return gpu


def next_child():
    """Do what the parent does after the child has ended."""
    assert idle.is_ending()
    idle._ending.clear()
    runtime._loaded.clear()


def let_time_pass(jobs, seconds):
    with jobs.engine.begin() as connection:
        for table, column in (
            ("workers", "held_until"),
            ("workers", "trouble_at"),
            ("jobs", "due_at"),
        ):
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = {column} - {seconds}")


@pytest.mark.parametrize("trouble", [GpuLost("the GPU is lost"), GpuBusy("others hold it")])
def test_while_the_gpu_cannot_be_used_one_job_tries_it_and_no_attempt_counts(
    jobs, gpu, trouble, caplog
):
    gpu.trouble = trouble
    steps.run_step(1)
    assert search.get(jobs.engine, 1).attempts == 0
    with jobs.engine.connect() as connection:  # status shows it
        shown = connection.exec_driver_sql("SELECT trouble FROM workers").scalar_one()
    assert shown == str(trouble)
    let_time_pass(jobs, 40)
    steps.run_step(1)  # this child claims nothing more: it ends
    let_time_pass(jobs, -40)
    assert gpu.jobs == [1]
    next_child()
    steps.run_step(1)
    steps.run_step(1)
    assert search.get(jobs.engine, 4).decision is Decision.CLEAN  # lite goes on
    assert gpu.jobs == [1]
    let_time_pass(jobs, 40)
    steps.run_step(1)
    next_child()
    steps.run_step(1)
    assert gpu.jobs == [1, 2]
    let_time_pass(jobs, 100)
    steps.run_step(1)
    next_child()
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1
    hold = holds.of(jobs.engine, runtime.worker())
    assert 45 < hold.seconds < 80  # half as long as it lasts; the least would be 30
    let_time_pass(jobs, 200)
    gpu.trouble = None
    for _ in range(3):
        steps.run_step(1)
    assert {search.get(jobs.engine, number).status for number in (1, 2, 3, 4)} == {Status.DONE}
    assert holds.of(jobs.engine, runtime.worker()) is None


def test_a_photo_with_which_the_gpu_is_lost_again_and_again_fails(jobs, gpu):
    """The GPU works with all other photos."""
    for _ in range(6):
        let_time_pass(jobs, 10_000)
        gpu.trouble = GpuLost("the GPU is lost")
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE jobs SET status = 'cancelled' WHERE id != 1")
        steps.run_step(1)
        next_child()
        with jobs.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE jobs SET status = 'queued' WHERE id != 1")
        holds.release(jobs.engine, runtime.worker())
        if search.get(jobs.engine, 1).status is Status.FAILED:
            break
    job = search.get(jobs.engine, 1)
    assert (job.status, job.attempts, job.error_kind) == (Status.FAILED, 3, ErrorKind.CRASHED)
    assert job.error == "the GPU is lost, again"


def test_a_job_that_is_decided_without_the_gpu_says_nothing_of_it(jobs, gpu, monkeypatch):
    gpu.trouble = GpuLost("the GPU is lost")
    steps.run_step(1)
    next_child()
    let_time_pass(jobs, 40)
    monkeypatch.setattr(steps, "restore", lambda job: jobs.finish(job, Decision.LEFT_ALONE))
    steps.run_step(2)
    assert search.get(jobs.engine, 2).decision is Decision.LEFT_ALONE
    assert holds.of(jobs.engine, runtime.worker()) is not None
    assert os.environ[gpu_probe.WAS_LOST]  # the CPU does not take its place


def test_up_once_does_not_wait_for_a_gpu_that_stays_lost(jobs, gpu):
    gpu.trouble = GpuLost("the GPU is lost")
    steps.run_step(1)
    next_child()
    steps.run_step(4)
    galleries.note(
        jobs.engine, "g", host="here", root=Path("/g"), output=Path("/o"), filesystem="ext4",
        watching="events", online=True, scanned_at=1.0,
    )  # fmt: skip
    assert not remaining.under_way(jobs.engine, ["g"], since=0)
    holds.release(jobs.engine, runtime.worker())
    assert remaining.under_way(jobs.engine, ["g"], since=0)


def test_a_child_that_began_without_the_gpu_ends_when_its_parent_has_it_again(
    jobs, gpu, monkeypatch
):
    problem = {"name": "", "problem": "its driver is too old"}
    monkeypatch.setenv(gpu_probe.PASSED_ON, json.dumps(problem))
    gpu_probe.gpu.cache_clear()
    monkeypatch.setattr(device, "needs_device", lambda queue: False)  # by lite
    holds.hold(jobs.engine, runtime.worker(), [], ErrorKind.GPU_LOST, "too old", least_seconds=30)
    steps.run_step(1)
    assert gpu.jobs == [1]  # no queue is held
    assert holds.of(jobs.engine, runtime.worker()) is not None
    workers.heartbeat(jobs.engine, runtime.worker(), "here", 1, runtime.queues(), "RTX 3060")
    steps.run_step(2)
    assert gpu.jobs == [1]
    next_child()
    monkeypatch.setenv(gpu_probe.PASSED_ON, json.dumps({"name": "RTX 3060", "problem": ""}))
    gpu_probe.gpu.cache_clear()
    steps.run_step(2)
    assert gpu.jobs == [1, 2]
    gpu_probe.gpu.cache_clear()


@pytest.fixture
def beside(jobs, gpu, monkeypatch):
    """Two workers on one GPU: this one, and another whose networks do not fit beside."""
    monkeypatch.setenv(runtime._DEVICE, "RTX 3060")
    monkeypatch.setattr(runtime, "needs_device", lambda queue: queue != CLASSIFY)
    monkeypatch.setattr(runtime, "_loaded_at", [time.monotonic()])
    heartbeat.record()

    def add(name="other", on="RTX 3060"):
        workers.heartbeat(jobs.engine, name, os.uname().nodename, 2, ["reflection"], on)
        holds.hold(
            jobs.engine, name, ["reflection"], ErrorKind.GPU_BUSY, "too little", least_seconds=300
        )

    return add


def test_workers_whose_networks_do_not_fit_beside_each_other_take_turns(jobs, gpu, beside):
    beside()
    steps.run_step(1)
    steps.run_step(1)
    assert gpu.jobs == [1, 2]
    runtime._loaded_at[:] = [time.monotonic() - runtime.RUN_SECONDS - 1]
    steps.run_step(1)
    next_child()
    assert gpu.jobs == [1, 2]
    assert holds.of(jobs.engine, "other").seconds <= 0  # it tries now
    own = holds.of(jobs.engine, runtime.worker())
    assert (own.kind, own.seconds > 0) == (ErrorKind.GPU_BUSY, True)
    holds.release(jobs.engine, "other")
    let_time_pass(jobs, 40)
    for _ in range(2):
        steps.run_step(1)
    assert gpu.jobs == [1, 2, 3]
    assert holds.of(jobs.engine, runtime.worker()) is None


def test_an_idle_child_on_a_gpu_frees_its_memory_sooner_if_another_worker_waits_for_it(
    jobs, gpu, beside
):
    long = settings().idle_seconds + 1
    assert not device.must_free_memory(long)  # it holds nothing
    steps.run_step(1)
    beside("elsewhere", on="RTX 4090")
    assert not device.must_free_memory(long / 5)
    beside()
    assert not device.must_free_memory(1)
    assert device.must_free_memory(long / 5)
    assert holds.of(jobs.engine, "other").seconds <= 0
    assert holds.of(jobs.engine, "elsewhere").seconds > 0
    workers.remove(jobs.engine, "other")
    assert not device.must_free_memory(long / 5)
    assert device.must_free_memory(long)


def test_an_idle_child_on_a_cpu_frees_its_memory(gpu, jobs):
    long = settings().idle_seconds + 1
    assert not device.must_free_memory(long)  # it holds nothing
    steps.run_step(1)
    assert device.must_free_memory(long)
    assert not device.must_free_memory(long / 5)


def test_a_gpu_that_other_programs_use_is_left_to_them_without_an_attempt(
    jobs, gpu, beside, monkeypatch
):
    use, asked = ["other programs compute on the GPU (a game)"], []
    monkeypatch.setattr(
        gpu_use, "by_others", lambda uuid, workers: asked.append((uuid, workers)) or use[0]
    )
    monkeypatch.setenv(gpu_probe.PASSED_ON, json.dumps({"name": "RTX 3060", "uuid": "GPU-1"}))
    gpu_probe.gpu.cache_clear()
    workers.heartbeat(jobs.engine, "far", "elsewhere", 77, ["reflection"], "RTX 3060")
    runtime._loaded[Category.MOTION_BLUR, True] = object()
    steps.run_step(1)
    assert asked == [("GPU-1", {os.getpid()})]
    job = search.get(jobs.engine, 1)
    assert (gpu.jobs, job.attempts, job.error_kind) == ([], 0, ErrorKind.GPU_BUSY)
    assert job.error == use[0]
    next_child()  # which frees the memory
    steps.run_step(1)
    assert search.get(jobs.engine, 4).decision is Decision.CLEAN  # lite goes on
    assert len(asked) == 1
    let_time_pass(jobs, 40)
    use[0] = ""
    steps.run_step(1)
    assert (gpu.jobs, len(asked)) == ([2], 2)
    assert holds.of(jobs.engine, runtime.worker()) is None
    gpu_probe.gpu.cache_clear()


def test_a_gpu_in_use_is_not_asked_about_against_the_settings(gpu, beside, monkeypatch):
    monkeypatch.setattr(gpu_use, "by_others", lambda uuid, workers: "a game")
    monkeypatch.setenv("PHOTOMEND_GIVE_WAY", json.dumps({"gpu_in_use": "go on"}))
    settings.cache_clear()
    steps.run_step(1)
    assert gpu.jobs == [1]


@pytest.fixture
def lite_on_gpu(monkeypatch):
    """lite won its trial on a GPU."""
    won = {"name": "RTX 3060", "uuid": "GPU-2", "cpu_seconds": 1.0, "gpu_seconds": 0.01}
    monkeypatch.setattr(gpu_trial, "is_installed", lambda: True)
    monkeypatch.setattr(gpu_trial, "tried", lambda: gpu_trial.Trial(**won))
    monkeypatch.setattr(gpu_probe, "has_card", lambda: True)
    monkeypatch.setenv(gpu_trial.PASSED_ON, "")
    monkeypatch.setattr(onnx_nets, "_gpu", {"lost": False, "yielded": False})
    gpu_trial.trial.cache_clear()
    yield
    gpu_trial.trial.cache_clear()


def test_lite_goes_on_without_a_gpu_that_other_programs_use(jobs, gpu, lite_on_gpu, monkeypatch):
    monkeypatch.setenv(runtime._DEVICE, "cpu")
    runtime.choose_device()
    assert runtime.device() == "RTX 3060"
    assert json.loads(os.environ[gpu_trial.PASSED_ON])["uuid"] == "GPU-2"  # for the child
    use, uuids = ["a game"], []
    monkeypatch.setattr(gpu_use, "by_others", lambda uuid, workers: uuids.append(uuid) or use[0])
    monkeypatch.setattr(device, "needs_device", lambda queue: False)
    steps.run_step(1)
    assert (gpu.jobs, uuids, onnx_nets._uses_gpu()) == ([1], ["GPU-2"], False)
    use[0] = ""
    steps.run_step(2)
    assert (gpu.jobs, onnx_nets._uses_gpu()) == ([1, 2], True)


def test_lite_stays_on_the_processor_if_the_gpu_lost_its_trial(lite_on_gpu, monkeypatch):
    slow = gpu_trial.Trial(name="RTX 3060", cpu_seconds=1.0, gpu_seconds=0.9)
    monkeypatch.setattr(gpu_trial, "tried", lambda: slow)
    monkeypatch.setenv(runtime._DEVICE, "")
    runtime.choose_device()
    assert runtime.device() == "cpu"


def test_a_photo_does_not_wait_where_other_programs_cannot_be_seen(gpu, beside, monkeypatch):
    def unseen(uuid, workers):
        raise gpu_use.Unseen("the GPU is not NVIDIA's")

    monkeypatch.setattr(gpu_use, "by_others", unseen)
    steps.run_step(1)
    assert gpu.jobs == [1]


def test_a_classifier_waits_for_room_while_another_worker_on_the_gpu_may_make_it(jobs, gpu, beside):
    assert not runtime._may_get_room()
    beside("elsewhere", on="RTX 4090")
    assert not runtime._may_get_room()
    beside()
    assert runtime._may_get_room()
    device.hold(ErrorKind.GPU_BUSY, "others hold it")
    assert runtime._may_get_room()
    let_time_pass(jobs, 2 * runtime.RUN_SECONDS + 1)
    assert not runtime._may_get_room()  # nobody made room: it takes what there is


def test_the_classifier_is_told_whether_to_wait_for_room(gpu, beside, monkeypatch):
    told = []
    monkeypatch.setattr(
        loading, "classifier", lambda name, wait_for_room: told.append(wait_for_room)
    )
    for _ in range(2):
        runtime.classifier.cache_clear()
        runtime.classifier()
        beside()
    runtime.classifier.cache_clear()
    assert told == [False, True]
