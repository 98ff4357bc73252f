"""Other programs on a GPU are told from photomend's own processes, by the functions of the real pynvml."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pynvml
import pytest

from tasks.worker import gpu_use

GIB = 2**30
UUID = "GPU-5a2c4d1e-0000-4000-8000-000000000000"


class Driver:
    """What NVIDIA's driver answers."""

    def __init__(self):
        self.opened = 0
        self.samples = {}
        self.compute, self.graphics = {}, {}
        self.total = 12 * GIB
        self.error = None

    def init(self):
        if self.error is not None:
            raise self.error
        self.opened += 1

    def shutdown(self):
        self.opened -= 1

    def handle(self, uuid):
        assert (uuid, self.opened) == (UUID, 1)
        return "the card"

    def utilization(self, card, since):
        assert card == "the card"
        assert 0 < time.time() - since / 1e6 < 10
        if not self.samples:
            raise pynvml.NVMLError_NotFound
        return [
            SimpleNamespace(pid=pid, timeStamp=stamp, smUtil=share)
            for (pid, stamp), share in self.samples.items()
        ]

    def memory(self, card):
        return SimpleNamespace(total=self.total)


def listed(processes):
    return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in processes.items()]


@pytest.fixture
def driver(monkeypatch):
    made = Driver()
    for name, function in {
        "nvmlInit": made.init, "nvmlShutdown": made.shutdown,
        "nvmlDeviceGetHandleByUUID": made.handle, "nvmlDeviceGetMemoryInfo": made.memory,
        "nvmlDeviceGetProcessUtilization": made.utilization,
        "nvmlDeviceGetComputeRunningProcesses": lambda card: listed(made.compute),
        "nvmlDeviceGetGraphicsRunningProcesses": lambda card: listed(made.graphics),
    }.items():  # fmt: skip
        monkeypatch.setattr(pynvml, name, function)
    monkeypatch.setattr(gpu_use, "_sees_process_ids", lambda: True)
    yield made
    assert made.opened == 0


@pytest.fixture
def game():
    """Another program, which is no child of a worker."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started.pid
        started.communicate(b"\n")


def test_a_gpu_that_nobody_uses_is_free(driver):
    assert gpu_use.by_others(UUID, {999_999_009}) == ""


def test_a_program_that_computes_is_named(driver, game):
    driver.samples = {(game, 2): gpu_use.BUSY_PERCENT, (game, 1): 5}  # the newest counts
    assert "compute on the GPU (python" in gpu_use.by_others(UUID, {999_999_009})
    driver.samples[game, 3] = gpu_use.BUSY_PERCENT - 1  # a desktop
    assert gpu_use.by_others(UUID, {999_999_009}) == ""


def test_programs_that_compute_a_little_each_count_together(driver):
    driver.samples = {(999_999_001, 1): 12, (999_999_002, 1): 15}
    use = gpu_use.by_others(UUID, {999_999_009})
    assert use.endswith("(process 999999002, process 999999001)")


def test_memory_is_in_use_if_almost_none_is_left_beside_others(driver, game):
    driver.compute, driver.graphics = {game: 8 * GIB}, {999_999_001: 3.5 * GIB}
    use = gpu_use.by_others(UUID, {999_999_009})
    assert use.startswith("other programs hold 11.5 GiB of the GPU's memory (python")
    driver.graphics = {999_999_001: None}  # a driver that does not tell
    assert gpu_use.by_others(UUID, {999_999_009}) == ""


def test_workers_and_their_children_are_no_other_programs(driver, game):
    driver.samples, driver.compute = {(game, 1): 99}, {game: 11.9 * GIB}
    assert gpu_use.by_others(UUID, {game}) == ""
    assert gpu_use.by_others(UUID, {os.getpid(), 999_999_003}) == ""  # its parent is the worker
    assert gpu_use.by_others(UUID, {1_000_000_000}) != ""


def test_where_nobody_can_tell_the_reason_is_given(driver, monkeypatch):
    with pytest.raises(gpu_use.Unseen, match="not NVIDIA's"):
        gpu_use.by_others("", ())
    driver.error = pynvml.NVMLError_LibraryNotFound()
    with pytest.raises(gpu_use.Unseen, match="does not say"):
        gpu_use.by_others(UUID, ())
    monkeypatch.setattr(gpu_use, "_sees_process_ids", lambda: False)
    with pytest.raises(gpu_use.Unseen, match="pid: host"):
        gpu_use.by_others(UUID, ())
    monkeypatch.undo()
    monkeypatch.setattr(gpu_use, "_sees_process_ids", lambda: True)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(gpu_use.Unseen, match="nvidia-ml-py"):
        gpu_use.by_others(UUID, ())


def test_process_ids_of_a_container_are_told_from_those_of_the_machine():
    seen = "from tasks.worker import gpu_use; print(gpu_use._sees_process_ids())"
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-c", seen]
    ran = subprocess.run(inside, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"no namespace of process ids can be made: {ran.stderr}")
    assert ran.stdout.strip() == "False"
