"""Which GPU the paper engine can use: torch computes a small product on it, in its own process.

nvidia-smi also lists cards that torch cannot use: for a driver that is too old, a card that is no
longer supported, a missing kernel module. The product needs all that a net needs. A process of its
own leaves no memory on the GPU, and survives a driver that hangs.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from storage import installation

PROBE = """
import json
found = {"name": "", "error": "", "cuda": "", "uuid": ""}
try:
    import torch
    found["cuda"] = torch.version.cuda or getattr(torch.version, "hip", None) or ""
    torch.cuda.init()
    found["name"] = torch.cuda.get_device_name()
    if torch.version.cuda:
        found["uuid"] = str(torch.cuda.get_device_properties(0).uuid)
    ones = torch.ones(64, 64, device="cuda")
    if (ones @ ones).sum().item() != 64 ** 3:
        found["error"] = "it computes wrong results"
except Exception as error:
    if type(error).__name__ != "OutOfMemoryError":  # a card that others fill can be used later
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(found))
"""
PROBE_SECONDS = 120.0
"""Longest time for the import of torch from a slow disk, and for the product."""
PASSED_ON = "_PHOTOMEND_GPU"
"""The variable by which a worker's parent passes on to its child what it found."""
WAS_LOST = "_PHOTOMEND_GPU_WAS_LOST"
"""The variable that a worker sets in a child process after an earlier one has lost the GPU."""
OTHER_TORCH = "`make paper TORCH=auto` installs a torch for it"
CAUSES = {
    "driver on your system is too old": f"its driver is too old for CUDA {{cuda}}; {OTHER_TORCH}",
    "no kernel image": f"this torch does not support it; {OTHER_TORCH}",
    "not compiled with CUDA": f"this torch was built without CUDA; {OTHER_TORCH}",
    "no NVIDIA driver": "its driver is not installed",
    "No CUDA GPUs are available": "CUDA_VISIBLE_DEVICES names no card, or the driver lost it",
}
"""What a part of torch's error means, and what to do."""


@dataclass(frozen=True)
class Gpu:
    """What was found out about the first visible GPU."""

    name: str = ""
    """The name that torch gives it; empty without one."""
    problem: str = ""
    """Why a card that is here cannot be used, and what to do; empty without a card."""
    uuid: str = ""
    """The name by which NVIDIA's driver knows it, as "GPU-" and a UUID; empty for another maker's."""

    @property
    def is_usable(self) -> bool:
        """Whether torch computed on it."""
        return bool(self.name) and not self.problem


@cache
def gpu() -> Gpu:
    """Return what torch finds; this takes some seconds, and once in a worker and its children."""
    if known := os.environ.get(PASSED_ON):
        return Gpu(**json.loads(known))
    return probed() if has_card() else Gpu()


def was_asked() -> bool:
    """Return whether this process needed to know the GPU."""
    return gpu.cache_info().currsize > 0


def pass_on() -> None:
    """Pass on what was found to the processes that this one starts."""
    os.environ[PASSED_ON] = json.dumps(asdict(gpu()))


def probe_again() -> Gpu:
    """Return what torch finds now, and pass it on to processes that start later."""
    os.environ[PASSED_ON] = json.dumps(asdict(probed()))
    gpu.cache_clear()
    return gpu()


def has_card(root: Path = Path("/")) -> bool:
    """Return whether this machine has a card of NVIDIA or AMD; the kernel is asked, not a driver."""
    if any((root / "dev" / name).exists() for name in ("nvidiactl", "nvidia0", "kfd", "dxg")):
        return True
    for card in (root / "sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((card / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == "0x10de" and kind.startswith("0x03"):  # a display controller of NVIDIA
            return True
    return False


def probed() -> Gpu:
    """Return what torch finds, whether or not the kernel knows a card."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", PROBE],
            capture_output=True, text=True, timeout=PROBE_SECONDS, check=True,
        )  # fmt: skip
        found = json.loads(ran.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Gpu(problem=f"it did not answer within {PROBE_SECONDS:.0f} s; restart the machine")
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return Gpu(problem="the process that tried it died; is its driver the one of the kernel?")
    uuid = found["uuid"] and "GPU-" + found["uuid"].removeprefix("GPU-")
    return Gpu(found["name"], _problem(found["error"], found["cuda"]), uuid)


def _problem(error: str, cuda: str) -> str:
    """Return why a card cannot be used, in a sentence, from torch's error."""
    if not error:
        return ""
    if error.startswith("ModuleNotFoundError"):
        return f"torch is not installed; {installation.get_libraries()}"
    for part, cause in CAUSES.items():
        if part.lower() in error.lower():
            return cause.format(cuda=cuda)
    if not Path("/dev/nvidia-uvm").exists() and Path("/dev/nvidiactl").exists():
        return "the kernel module nvidia_uvm is not loaded: sudo modprobe nvidia_uvm"
    return f"torch cannot compute on it ({error})"
