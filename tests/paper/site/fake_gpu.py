"""A GPU that gets lost, is busy, small or slow, for processes that a test starts.

The files in the folder FAKE_GPU say what it does now. It raises torch's own errors where torch would:
in the first calls of networks, in the moving of networks to the device, in questions for its memory.
"""

import fcntl
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from tasks.paper import tensors
from tasks.worker import gpu_use

FOLDER = Path(os.environ["FAKE_GPU"])
GIB = 2**30
NAME = "A fake GPU"
LAUNCH_FAILURE = (
    "CUDA error: unspecified launch failure\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect."
)
NO_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 12.00 GiB."
)
CUFFT = "cuFFT error: CUFFT_ALLOC_FAILED"

_lost = []
_calls = [0]
_held = []


def number(name):
    """Return the number in a file, 0 in an empty one, None if there is no such file."""
    try:
        return float((FOLDER / name).read_text() or 0)
    except FileNotFoundError:
        return None


def _answer():
    """Raise if the GPU is lost: for ever in this process, once it was."""
    after = number("lost once")
    if after is not None and _calls[0] >= after:
        (FOLDER / "lost once").unlink(missing_ok=True)
        _lost.append(True)
    if _lost or number("lost") is not None:
        _lost.append(True)
        raise torch.AcceleratorError(LAUNCH_FAILURE)


def _before(module, inputs):
    """Do what the device does before it runs one layer."""
    if not isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
        return
    _calls[0] += 1
    _answer()
    time.sleep(number("slow") or 0)
    if number("full") is not None:
        raise torch.OutOfMemoryError(NO_MEMORY)
    most = number("pixels")
    if (
        most is not None
        and inputs[0].dim() == 4
        and inputs[0].shape[-1] * inputs[0].shape[-2] > most
    ):
        raise (
            RuntimeError(CUFFT)
            if number("cufft") is not None
            else torch.OutOfMemoryError(NO_MEMORY)
        )


def _after(module, inputs, output):
    """Spoil what layers compute: all of them, or those whose numbers are in half precision."""
    if not isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
        return None
    if number("nan") is not None:
        return torch.full_like(output, torch.nan)
    if number("overflow") is not None and output.dtype != torch.float32:
        return torch.full_like(output, torch.inf)
    return None


def _halve(module):
    """Load the network of a module in half precision, as the engine does on a GPU."""
    load = module.load
    half = {torch.float32: torch.bfloat16}  # float16 takes minutes on a CPU

    def halved(*values, **named):
        return load(
            *(half.get(each, each) if isinstance(each, torch.dtype) else each for each in values),
            **named,
        )

    module.load = halved


def _moved(module, *args, **kwargs):
    _answer()
    if number("busy") is not None or (number("small") is not None and not _alone()):
        raise torch.OutOfMemoryError(NO_MEMORY)
    return _move(module, *args, **kwargs)


def _alone():
    """Return whether no other process holds networks on the device; they hold it until they end."""
    if not _held:
        _held.append((FOLDER / "memory").open("w"))
    try:
        fcntl.flock(_held[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _memory(device=None):
    _answer()
    held = number("others") or 0
    return int((11 - held) * GIB), 12 * GIB


def _begin():
    """Raise at the first use of CUDA in a process if the GPU cannot be used at all."""
    if number("unusable") is not None:
        raise RuntimeError(
            "CUDA unknown error - this may be due to an incorrectly set up environment"
        )


def _best_device():
    """Return the device that stands for the GPU."""
    for name in ("invsr", "real_esrgan"):  # a chain has imported them when it asks for the device
        module = sys.modules.get(f"tasks.paper.restorers.{name}")
        if module is not None and number("half") is not None:
            _halve(module)
    return torch.device("cpu")


def _samples(card, since):
    """Return what the program whose process id the file "game" holds, and its children, compute."""
    import psutil
    from pynvml import NVMLError_NotFound

    game = number("game")
    if game is None:
        raise NVMLError_NotFound
    computing = [psutil.Process(int(game)), *psutil.Process(int(game)).children(recursive=True)]
    return [SimpleNamespace(pid=each.pid, timeStamp=0, smUtil=90) for each in computing]


def _drive():
    """Answer in place of NVIDIA's driver."""
    import pynvml

    gpu_use._sees_process_ids = lambda: True  # this test may run in a container
    pynvml.nvmlInit = pynvml.nvmlShutdown = lambda: None
    pynvml.nvmlDeviceGetHandleByUUID = str
    pynvml.nvmlDeviceGetProcessUtilization = _samples
    pynvml.nvmlDeviceGetComputeRunningProcesses = lambda card: []
    pynvml.nvmlDeviceGetGraphicsRunningProcesses = lambda card: []
    pynvml.nvmlDeviceGetMemoryInfo = lambda card: SimpleNamespace(total=12 * GIB)


_drive()
torch.version.cuda = "13.0"
torch.cuda.get_device_properties = lambda device: SimpleNamespace(uuid="5a2c4d1e")
torch.cuda.init = _begin
torch.cuda.get_device_name = lambda device=None: NAME
_ones = torch.ones
torch.ones = lambda *size, device=None, **named: _ones(*size, **named)
tensors.best_device = _best_device
_move = torch.nn.Module.to
torch.nn.Module.to = _moved
torch.cuda.mem_get_info = _memory
torch.nn.modules.module.register_module_forward_pre_hook(_before)
torch.nn.modules.module.register_module_forward_hook(_after)
