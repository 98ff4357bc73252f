"""Try lite's restorers on a GPU: they compute there if that is faster and the pixels are the same.

Only where onnxruntime-gpu is installed. The trial has a process of its own, which leaves no memory on
the GPU and survives its driver. It names the GPU by the driver's own library, since CUDA and NVML may
number GPUs differently.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from storage import installation
from tasks import gpu_probe
from tasks.imaging import parallel

NET, SIDE = Path(__file__).parent / "weights/motion.onnx", 672
"""The restorer that is tried, and the side of its tile in pixels."""
CUDA = (
    "CUDAExecutionProvider",
    {
        "cudnn_conv_algo_search": "HEURISTIC",  # each photo has tiles of its own size
        "arena_extend_strategy": "kSameAsRequested",
    },
)
"""What onnxruntime is given to compute on a GPU."""
COVERED = "the files of onnxruntime lie over those of onnxruntime-gpu"
"""What happens if both are installed; their modules have one name."""
PROGRAM = """
import ctypes, json, sys, time, uuid
import numpy as np
import onnxruntime

file, side, cuda_provider = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
covered = sys.argv[4]

def tried(provider, settings):
    if provider not in onnxruntime.get_available_providers():
        raise LookupError(covered)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("height", side)
    options.add_free_dimension_override_by_name("width", side)
    session = onnxruntime.InferenceSession(file, options, providers=[(provider, settings)])
    if session.get_providers()[0] != provider:
        raise RuntimeError("onnxruntime cannot compute on it")
    planes = session.get_inputs()[0].shape[1]
    tile = np.random.default_rng(0).random((1, planes, side, side), np.float32)
    session.run(None, {"tile": tile})
    times = []
    for _ in range(2):
        start = time.perf_counter()
        [output] = session.run(None, {"tile": tile})
        times.append(time.perf_counter() - start)
    return min(times), output

found = {}
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    device, name, number = ctypes.c_int(), ctypes.create_string_buffer(99), (ctypes.c_ubyte * 16)()
    for failed in (cuda.cuInit(0), cuda.cuDeviceGet(ctypes.byref(device), 0),
                   cuda.cuDeviceGetName(name, 99, device), cuda.cuDeviceGetUuid(number, device)):
        if failed:
            raise RuntimeError(f"CUDA error {failed}")
    found["name"], found["uuid"] = name.value.decode(), f"GPU-{uuid.UUID(bytes=bytes(number))}"
    onnxruntime.preload_dlls()
    found["gpu_seconds"], there = tried(*cuda_provider)
    found["cpu_seconds"], here = tried("CPUExecutionProvider", {})
    found["difference"] = float(np.abs(there - here).max() * 255)
except Exception as error:
    found["problem"] = str(error).splitlines()[0]
print(json.dumps(found))
"""
TRIAL_SECONDS = 120.0
"""Longest time for the start of CUDA from a slow disk, and for the tiles."""
MAX_DIFFERENCE = 0.5
"""Largest difference of a pixel, of 255, with which the GPU's result is as good as the processor's."""
PASSED_ON = "_PHOTOMEND_LITE_GPU"
"""The variable by which a worker's parent passes on to its child what it found."""


@dataclass(frozen=True)
class Trial:
    """What was found out about lite's restorers on the first visible GPU."""

    name: str = ""
    uuid: str = ""
    """The name of the GPU, and the one by which NVIDIA's driver knows it."""
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    """Time for a tile, on one core and on the GPU."""
    difference: float = 0.0
    """Largest difference of their pixels, of 255."""
    problem: str = ""
    """Why the GPU cannot be used."""

    @property
    def is_won(self) -> bool:
        """Whether restorers compute on the GPU; a processor computes several tiles at once."""
        faster = self.gpu_seconds < self.cpu_seconds / parallel.THREADS
        return not self.problem and faster and self.difference <= MAX_DIFFERENCE

    def __str__(self) -> str:
        if self.problem:
            return f"lite cannot compute on the GPU: {self.problem}"
        took = f"a tile takes {self.gpu_seconds:.3f} s on {self.name}, {self.cpu_seconds:.3f} s on a core"
        if self.difference > MAX_DIFFERENCE:
            return f"lite does not compute on the GPU, whose pixels differ by {self.difference:.1f} of 255"
        return f"lite computes on the {'GPU' if self.is_won else 'CPU'}: {took}"


@cache
def trial() -> Trial:
    """Return what the trial found; it takes seconds, once in a worker and its children."""
    if known := os.environ.get(PASSED_ON):
        return Trial(**json.loads(known))
    return tried() if is_installed() and gpu_probe.has_card() else Trial()


def pass_on() -> None:
    """Pass on what was found to the processes that this one starts."""
    os.environ[PASSED_ON] = json.dumps(asdict(trial()))


def is_installed() -> bool:
    """Return whether onnxruntime-gpu was installed."""
    try:
        distribution("onnxruntime-gpu")
    except PackageNotFoundError:
        return False
    return True


def tried() -> Trial:
    """Return what a trial finds now, whether or not the kernel knows a card."""
    words = [str(NET), str(SIDE), json.dumps(CUDA), COVERED]
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, *words],
            capture_output=True, text=True, timeout=TRIAL_SECONDS, check=True,
        )  # fmt: skip
        found = Trial(**json.loads(ran.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Trial(problem=f"it did not answer within {TRIAL_SECONDS:.0f} s")
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return Trial(problem="the process that tried it died")
    if found.problem == COVERED:
        return replace(found, problem=f"{COVERED}; {installation.uncover_gpu()}")
    return found
