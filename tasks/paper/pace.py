"""Measure how long a network takes for a tile on this device, once; a file keeps it."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from storage import atomic_files
from storage.settings import settings

FILE = "tile-seconds.json"
"""File in the state folder: device → network → seconds per tile."""


def tile_seconds(net: str, device: torch.device, run: Callable[[], object]) -> float:
    """Return the seconds that a network takes for a tile; if that is not known, `run` takes one."""
    file = settings().state_dir / FILE
    known = _read(file)
    here = known.setdefault(_name(device), {})
    if net not in here:
        run()  # the first also prepares the device
        begun = time.perf_counter()
        run()
        here[net] = round(time.perf_counter() - begun, 4)
        atomic_files.write(file, json.dumps(known, indent=1).encode())
    return here[net]


def _read(file: Path) -> dict[str, dict[str, float]]:
    """Return what was measured; nothing if the file is not there or damaged."""
    with suppress(OSError, ValueError):
        known: dict[str, dict[str, float]] = json.loads(file.read_bytes())
        return known
    return {}


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
