"""Keep what was measured of a network on a device in a file, so that it is measured once."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from storage import atomic_files
from storage.settings import settings


def once(file: str, net: str, device: torch.device, measure: Callable[[], float]) -> float:
    """Return a measurement from a file in the state folder; `measure` makes it if it is not there."""
    known = _read(settings().state_dir / file).get(_name(device), {})
    if net not in known:
        return keep(file, net, device, measure())
    return known[net]


def keep(file: str, net: str, device: torch.device, value: float) -> float:
    """Write a measurement to a file in the state folder: device → network → value; return it."""
    path = settings().state_dir / file
    known = _read(path)
    known.setdefault(_name(device), {})[net] = value
    atomic_files.write(path, json.dumps(known, indent=1).encode())
    return value


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
