"""Measure how long a network takes for a tile on this device, once; a file keeps it."""

import time
from collections.abc import Callable

import torch

from tasks.paper import measurements

FILE = "tile-seconds.json"


def tile_seconds(net: str, device: torch.device, run: Callable[[], object]) -> float:
    """Return the seconds that a network takes for a tile; if that is not known, `run` takes one."""

    def measure() -> float:
        run()  # the first also prepares the device
        begun = time.perf_counter()
        run()
        return round(time.perf_counter() - begun, 4)

    return measurements.once(FILE, net, device, measure)
