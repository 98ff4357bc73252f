"""lite computes on a GPU only if a trial finds that faster and the pixels the same."""

import json

import numpy as np
import onnxruntime
import pytest

from storage import installation
from tasks import gpu_probe
from tasks.lite import gpu_trial, onnx_nets
from tasks.lite.gpu_trial import Trial
from tasks.lite.tiled_net import restored

WON = Trial(name="RTX 3060", uuid="GPU-1", cpu_seconds=0.4, gpu_seconds=0.01)
ONNXRUNTIME = """
import time
import numpy as np
class SessionOptions:
    def add_free_dimension_override_by_name(self, side, pixels): assert pixels == {side}
class Input: shape = [1, 3, "height", "width"]
def preload_dlls(): print("Failed to load libcublas.so.13")
def get_available_providers(): return {providers}
class InferenceSession:
    def __init__(self, file, options, providers):
        assert file.endswith("motion.onnx")
        [(self.provider, settings)] = providers
        self.is_gpu = self.provider != "CPUExecutionProvider"
        if self.is_gpu:
            assert settings["cudnn_conv_algo_search"] == "HEURISTIC"
            {load}
    def get_providers(self): return [self.provider]
    def get_inputs(self): return [Input()]
    def run(self, names, planes):
        time.sleep({gpu_seconds} if self.is_gpu else 0.1)
        return [planes["tile"] + (self.is_gpu and {difference} / 255)]
"""
"""An onnxruntime whose GPU has errors, times and pixels of its own."""
DRIVER = """
import ctypes
class Cuda:
    def cuInit(self, flags): return {error}
    def cuDeviceGet(self, device, number): return 0
    def cuDeviceGetName(self, name, length, device): name.value = b"RTX 3060"; return 0
    def cuDeviceGetUuid(self, number, device): number[0] = 0x5a; return 0
real = ctypes.CDLL
ctypes.CDLL = lambda name, *more: Cuda() if name == "libcuda.so.1" else real(name, *more)
"""
"""NVIDIA's driver; Python imports this in the processes of a trial."""


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """Put an onnxruntime and a driver in front of all others of the processes that are started."""

    def write(*, load="pass", gpu_seconds=0.01, difference=0.1, error=0,
              providers=("CUDAExecutionProvider", "CPUExecutionProvider")):  # fmt: skip
        text = ONNXRUNTIME.format(
            side=gpu_trial.SIDE, load=load, gpu_seconds=gpu_seconds, difference=difference,
            providers=list(providers),
        )  # fmt: skip
        (tmp_path / "onnxruntime.py").write_text(text)
        (tmp_path / "sitecustomize.py").write_text(DRIVER.format(error=error))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


@pytest.fixture
def won(monkeypatch):
    """A process that was started where the GPU won the trial."""
    monkeypatch.setenv(gpu_trial.PASSED_ON, json.dumps(gpu_trial.asdict(WON)))
    monkeypatch.setattr(onnx_nets, "_gpu", {"lost": False, "yielded": False})
    gpu_trial.trial.cache_clear()
    yield
    gpu_trial.trial.cache_clear()


def test_a_gpu_that_is_faster_with_the_same_pixels_wins(gpu):
    gpu()
    found = gpu_trial.tried()
    assert found.is_won
    assert (found.name, found.uuid) == ("RTX 3060", "GPU-5a000000-0000-0000-0000-000000000000")
    assert found.gpu_seconds < found.cpu_seconds
    assert str(found).startswith("lite computes on the GPU: a tile takes 0.01")


def test_a_gpu_that_is_slower_than_two_cores_loses(gpu):
    gpu(gpu_seconds=0.08)
    found = gpu_trial.tried()
    assert not found.is_won
    assert str(found).startswith("lite computes on the CPU: a tile takes 0.08")


def test_a_gpu_with_other_pixels_loses(gpu):
    gpu(difference=2)
    found = gpu_trial.tried()
    assert not found.is_won
    assert "differ by 2.0 of 255" in str(found)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error": 100}, "CUDA error 100"),
        ({"load": 'raise RuntimeError("CUDA failure 222: no kernel image")'}, "no kernel image"),
        ({"load": 'self.provider = "CPUExecutionProvider"'}, "cannot compute on it"),
        ({"load": "import os; os.abort()"}, "died"),
        ({"providers": ["CPUExecutionProvider"]}, "lie over those of onnxruntime-gpu; `"),
    ],
)
def test_a_gpu_that_does_not_compute_loses_with_the_reason(gpu, fault, reason):
    gpu(**fault)
    found = gpu_trial.tried()
    assert not found.is_won
    assert reason in str(found)


def test_a_gpu_that_hangs_is_given_up(gpu, monkeypatch):
    gpu(load="time.sleep(60)")
    monkeypatch.setattr(gpu_trial, "TRIAL_SECONDS", 1.0)
    assert "did not answer" in gpu_trial.tried().problem


@pytest.mark.parametrize(
    ("installer", "command"),
    [
        (installation.Installer.MAKE, "cuda` mends that"),
        (installation.Installer.UV, "--force-reinstall --no-deps onnxruntime-gpu` mends that"),
    ],
)
def test_the_command_that_uncovers_the_gpu_is_that_of_the_installer(
    monkeypatch, installer, command
):
    monkeypatch.setattr(installation, "installer", lambda: installer)
    assert installation.uncover_gpu().endswith(command)


def test_nothing_is_tried_without_the_extra_or_without_a_card(monkeypatch):
    monkeypatch.setattr(gpu_trial, "tried", lambda: WON)
    for installed, card in ((False, True), (True, False), (True, True)):
        monkeypatch.setattr(gpu_trial, "is_installed", lambda installed=installed: installed)
        monkeypatch.setattr(gpu_probe, "has_card", lambda card=card: card)
        gpu_trial.trial.cache_clear()
        assert gpu_trial.trial().is_won == (installed and card)
    gpu_trial.trial.cache_clear()


class Sessions:
    """onnxruntime's sessions: the processor computes for the GPU, which fails after some tiles."""

    def __init__(self, monkeypatch, tiles, load_error=None):
        self.left, self.on_gpu, self.load_error = tiles, 0, load_error
        self.real = onnxruntime.InferenceSession
        monkeypatch.setattr(onnxruntime, "InferenceSession", self.session)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)

    def session(self, file, options, providers):
        if providers == ["CPUExecutionProvider"]:
            return self.real(file, options, providers=providers)
        assert providers == [gpu_trial.CUDA]
        if self.load_error:
            raise self.load_error
        self.inner = self.real(file, options, providers=["CPUExecutionProvider"])
        return self

    def run(self, *words):
        self.on_gpu += 1
        self.left -= 1
        if self.left < 0:
            raise onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException("CUDA failure 2\nat")
        return self.inner.run(*words)


@pytest.fixture
def image():
    """An image of two tiles."""
    return np.random.default_rng(1).random((64, 1000, 3), np.float32)


@pytest.mark.usefixtures("won")
def test_restorers_compute_on_a_gpu_that_won(monkeypatch, image):
    expected = expected_of(monkeypatch, image)
    sessions = Sessions(monkeypatch, 99)
    assert np.array_equal(restored(image, "motion"), expected)
    assert sessions.on_gpu == 2


def expected_of(monkeypatch, image):
    """Return what the processor makes of an image."""
    with monkeypatch.context() as patch:
        patch.setitem(onnx_nets._gpu, "lost", True)
        return restored(image, "motion")


@pytest.mark.usefixtures("won")
@pytest.mark.parametrize(
    ("tiles", "load_error"), [(0, None), (1, None), (9, MemoryError("too full"))]
)
def test_a_photo_is_finished_without_a_gpu_that_fails(
    monkeypatch, image, caplog, tiles, load_error
):
    expected = expected_of(monkeypatch, image)
    sessions = Sessions(monkeypatch, tiles, load_error)
    assert np.array_equal(restored(image, "motion"), expected)
    asked = sessions.on_gpu
    assert np.array_equal(restored(image, "motion"), expected)
    assert sessions.on_gpu == asked
    assert sum("lite goes on without the GPU" in text for text in caplog.messages) == 1


@pytest.mark.usefixtures("won")
def test_a_gpu_that_others_use_is_left_until_they_let_it_go(monkeypatch, image):
    sessions = Sessions(monkeypatch, 99)
    onnx_nets.yield_gpu(True)
    restored(image, "motion")
    assert sessions.on_gpu == 0
    onnx_nets.yield_gpu(False)
    restored(image, "motion")
    assert sessions.on_gpu == 2


def test_without_a_trial_no_gpu_is_asked(monkeypatch, image):
    monkeypatch.delenv(gpu_trial.PASSED_ON, raising=False)
    gpu_trial.trial.cache_clear()
    sessions = Sessions(monkeypatch, 99)
    restored(image, "motion")
    assert sessions.on_gpu == 0
