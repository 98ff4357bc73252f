"""A GPU counts if torch computes on it; if not, the reason and what to do are named."""

import json

import pytest

from tasks import gpu_probe
from tasks.worker import runtime

TORCH = """
import sys
class version: cuda, hip = "13.0", None
class OutOfMemoryError(RuntimeError): ...
class Product:
    def __matmul__(self, other): return self
    def sum(self): return self
    def item(self): return {item}
class cuda:
    def init(): {init}
    def get_device_name(): return "NVIDIA GeForce RTX 3060"
    class get_device_properties:
        def __init__(self, index): self.uuid = "5a2c4d1e-0000-4000-8000-00000000000" + str(index)
def ones(*size, device): {ones}
"""
"""A torch that fails where torch does, with the errors that torch raises."""


@pytest.fixture
def torch(tmp_path, monkeypatch):
    """Put a torch in front of all others of the processes that are started."""

    def write(init="return None", ones="return Product()", item=64**3):
        text = TORCH.format(init=init, ones=ones, item=item)
        (tmp_path / "torch.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


def test_a_card_that_computes_is_usable(torch):
    torch()
    found = gpu_probe.probed()
    assert (found.name, found.uuid) == (
        "NVIDIA GeForce RTX 3060", "GPU-5a2c4d1e-0000-4000-8000-000000000000"
    )  # fmt: skip
    assert gpu_probe.probed().is_usable


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"init": 'raise RuntimeError("The NVIDIA driver on your system is too old (found version '
                  '11040). Please update your GPU driver")'}, "too old for CUDA 13.0"),
        ({"init": 'raise RuntimeError("Found no NVIDIA driver on your system.")'},
         "its driver is not installed"),
        ({"init": 'raise RuntimeError("No CUDA GPUs are available")'}, "CUDA_VISIBLE_DEVICES"),
        ({"init": 'raise AssertionError("Torch not compiled with CUDA enabled")'},
         "without CUDA"),
        ({"ones": 'raise RuntimeError("CUDA error: no kernel image is available for execution on '
                  'the device")'}, "does not support it"),
        ({"ones": 'raise RuntimeError("CUDA error: unknown error")'}, "unknown error"),
        ({"item": 7}, "wrong results"),
        ({"init": "import os; os.abort()"}, "died"),
    ],
)  # fmt: skip
def test_a_card_that_does_not_compute_is_named_with_the_reason(torch, fault, cause):
    torch(**fault)
    found = gpu_probe.probed()
    assert not found.is_usable
    assert cause in found.problem


def test_a_card_that_others_fill_is_usable(torch):
    torch(ones='raise OutOfMemoryError("CUDA out of memory")')
    assert gpu_probe.probed().is_usable


def test_a_driver_that_hangs_is_given_up(torch, monkeypatch):
    torch(init="import time; time.sleep(60)")
    monkeypatch.setattr(gpu_probe, "PROBE_SECONDS", 1.0)
    assert "did not answer" in gpu_probe.probed().problem


def test_a_machine_without_a_card_starts_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_probe, "has_card", lambda: False)
    monkeypatch.setattr(gpu_probe, "probed", lambda: pytest.fail("torch was asked"))
    monkeypatch.delenv(gpu_probe.PASSED_ON, raising=False)
    gpu_probe.gpu.cache_clear()
    assert gpu_probe.gpu() == gpu_probe.Gpu()
    gpu_probe.gpu.cache_clear()


def test_a_card_is_found_by_the_kernel(tmp_path):
    assert not gpu_probe.has_card(tmp_path)
    for place, vendor, kind in (("0", "0x8086", "0x030000"), ("1", "0x10de", "0x040300")):
        card = tmp_path / f"sys/bus/pci/devices/0000:0{place}:00.0"
        card.mkdir(parents=True)
        (card / "vendor").write_text(vendor)
        (card / "class").write_text(kind)
    assert not gpu_probe.has_card(tmp_path)  # Intel's graphics, and the sound of an NVIDIA card
    (card / "class").write_text("0x030200\n")
    assert gpu_probe.has_card(tmp_path)


def test_a_worker_names_the_device_that_it_uses_and_passes_it_on(home, monkeypatch, caplog):
    monkeypatch.setenv("PHOTOMEND_ENGINE", "paper")
    monkeypatch.setenv(
        gpu_probe.PASSED_ON, json.dumps({"name": "", "problem": "its driver is too old"})
    )
    for cached in (runtime.settings, runtime.engine_of, gpu_probe.gpu):
        cached.cache_clear()
    runtime.become_worker(["motion-blur"])
    assert runtime.device() == "cpu"
    assert "its driver is too old" in caplog.text
    monkeypatch.setenv(gpu_probe.PASSED_ON, json.dumps({"name": "RTX 3060", "problem": ""}))
    for cached in (runtime.engine_of, gpu_probe.gpu):
        cached.cache_clear()
    runtime.become_worker(["motion-blur"])
    assert runtime.device() == "RTX 3060"
    for cached in (runtime.settings, runtime.engine_of, gpu_probe.gpu):
        cached.cache_clear()
