"""Choose how many patches a network computes at once, from the free memory of its GPU.

What a patch needs is measured once; a file keeps it.
"""

from collections.abc import Callable

import torch

from tasks.paper import gpu, measurements

FILE = "patch-bytes.json"
SHARE = 0.8
"""Share of the free memory that patches may need: some of it lies in pieces that are too small."""


def fitting(net: str, device: torch.device, most: int, run: Callable[[], object]) -> int:
    """Return the number of patches that fit, 1 to `most`; `run` computes one if its need is unknown."""
    if device.type != "cuda":
        return most
    needed = measurements.once(FILE, net, device, lambda: _peak_bytes(device, run))
    return max(1, min(most, int(SHARE * gpu.free_bytes(device) / needed)))


def note(net: str, device: torch.device, number: int) -> None:
    """Note that no more than `number` patches fit into the memory that is free now."""
    if device.type == "cuda":
        measurements.keep(FILE, net, device, SHARE * gpu.free_bytes(device) / number)


def _peak_bytes(device: torch.device, run: Callable[[], object]) -> float:
    """Return the memory that `run` needs for a time."""
    gpu.free_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    return max(1.0, float(torch.cuda.max_memory_allocated(device) - before))
