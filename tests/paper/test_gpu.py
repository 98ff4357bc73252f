"""What torch's errors say about the device, and the fallback of networks to less memory."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the paper engine needs torch")

from storage.enums import Category, Degradation
from storage.errors import GpuBusy, GpuLost, WeightsWrong
from tasks.paper import gpu, tensors
from tasks.paper.engine import ChainOnGpu, ClassifierOnGpu
from tasks.paper.restorers.inpainting import Inpaint
from tasks.paper.restorers.nafnet import Deblur
from tasks.paper.restorers.separation import Separate
from tasks.receipt import Receipt
from tasks.verdict import Verdict

CPU = torch.device("cpu")
GIB = 2**30
VERDICT = Verdict(dict.fromkeys(Category, 0.0), dict.fromkeys(Degradation, 1.0), True)
LOST = [
    torch.AcceleratorError("CUDA error: unspecified launch failure\nCUDA kernel errors might be …"),
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(…)`"),
    RuntimeError("cuFFT error: CUFFT_EXEC_FAILED"),
    RuntimeError("Found no NVIDIA driver on your system."),
]
MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
    ),
]
OTHER = [
    RuntimeError("Expected all tensors to be on the same device, cuda:0 and cpu!"),
    ValueError("CUDA error"), FloatingPointError("not finite"),
]  # fmt: skip


def of(error, monkeypatch, *, others_gib=0, loading=False):
    """Return what becomes of an error while others hold so much of 12 GiB."""
    free = (12 - others_gib) * GIB
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 12 * GIB))
    with pytest.raises(Exception) as raised, gpu.errors(loading=loading):
        raise error
    return type(raised.value)


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_gpu_that_failed_is_lost(error, monkeypatch):
    assert of(error, monkeypatch) is GpuLost
    assert of(error, monkeypatch, loading=True) is GpuLost


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_too_little_memory_is_the_photos_fault_only_if_the_process_is_alone(error, monkeypatch):
    assert of(error, monkeypatch, others_gib=0.5) is MemoryError
    assert of(error, monkeypatch, others_gib=6) is GpuBusy
    assert of(error, monkeypatch, loading=True) is GpuBusy


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_errors_stay_as_they_are(error, monkeypatch):
    assert of(error, monkeypatch, others_gib=6) is type(error)


def test_an_error_that_came_from_the_device_is_the_devices(monkeypatch):
    wrong = WeightsWrong("not of a Real-ESRGAN network")
    wrong.__cause__ = MEMORY[0]
    assert of(wrong, monkeypatch, loading=True) is GpuBusy
    busy = GpuBusy("too little memory is free to load the networks")
    busy.__cause__ = MEMORY[0]
    assert of(busy, monkeypatch) is GpuBusy  # of a network that is loaded for the first face


def test_the_cpu_does_not_take_the_place_of_a_gpu_that_was_lost(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert tensors.best_device() == CPU
    monkeypatch.setenv(tensors.gpu_probe.WAS_LOST, "1")
    with pytest.raises(GpuLost):
        tensors.best_device()


class Small(torch.nn.Module):
    """Darkens an image, if it has no more pixels than fit."""

    def __init__(self, error, most):
        super().__init__()
        self.error, self.most, self.sides = error, most, []

    def forward(self, planes, _mask=None):
        self.sides.append(max(planes.shape[2:]))
        if planes.shape[2] * planes.shape[3] > self.most:
            raise self.error
        return planes - 0.05


def photo(height, width):
    return np.full((height, width, 3), 0.5, np.float32)


@pytest.mark.parametrize("error", MEMORY[:3], ids=str)
@pytest.mark.parametrize(
    "run",
    [
        lambda net: Deblur(net, CPU)(photo(600, 1100)),
        lambda net: Inpaint(net, CPU)(photo(900, 900), np.pad(np.ones((500, 500)), 200)),
        lambda net: Separate(torch.nn.Identity(), net, CPU)(photo(600, 1300)),
    ],
    ids=["NAFNet", "LaMa", "RRW"],
)
def test_a_network_that_does_not_fit_is_run_on_less(error, run):
    net = Small(error, 512 * 700)
    made = run(net)
    assert made.min() == pytest.approx(0.45, abs=1e-4)
    assert net.sides[0] > net.sides[-1]
    with pytest.raises(type(error)):
        run(Small(error, 10))


class Part:
    """A classifier and a chain that returns what it was given, or raises an error."""

    name, scale = "a net", 2

    def __init__(self, error=None):
        self.error = error

    def __call__(self, *given, **named):
        if self.error is not None:
            raise self.error
        return given, named


def test_a_chain_and_a_classifier_on_the_gpu_pass_on_what_they_are_given():
    image, receipt = photo(4, 4), Receipt()
    chain, classifier = ChainOnGpu(Part()), ClassifierOnGpu(Part())
    assert (chain.scale, classifier.name) == (2, "a net")
    assert chain(image, VERDICT, receipt) == ((image, VERDICT, receipt), {})
    assert classifier(image, jpeg_quality=7) == ((image,), {"jpeg_quality": 7})


@pytest.mark.parametrize(
    ("error", "expected"), [(LOST[0], GpuLost), (MEMORY[0], MemoryError), (OTHER[1], ValueError)]
)
def test_a_chain_and_a_classifier_tell_the_device_from_the_photo(error, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (12 * GIB, 12 * GIB))
    with pytest.raises(expected):
        ChainOnGpu(Part(error))(photo(4, 4), VERDICT, Receipt())
    with pytest.raises(expected):
        ClassifierOnGpu(Part(error))(photo(4, 4))
