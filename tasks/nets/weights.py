"""Read a weights file as plain tensors: nothing that lies in it is run."""

import struct
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from storage.errors import PhotomendError

SHELVES = ("state_dict", "params_ema", "params")
"""Under which training programs keep the tensors; the smoothed ones are the better."""
WRAPPERS = ("module.", "_orig_mod.")
"""What parallel training and torch.compile put before each name."""
DAMAGE = (
    SafetensorError, UnpicklingError, struct.error, AssertionError, AttributeError, EOFError,
    LookupError, OverflowError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What torch's unpickler stumbles over in random bytes."""


class WrongWeights(PhotomendError):
    """The weights file is damaged or of another net; fetching the right one helps, nothing else."""


def read(file: Path) -> dict[str, Tensor]:
    """Give the tensors of a .safetensors file, or of one that torch pickled, by their bare names.

    They are on the CPU.

    Raises:
        WrongWeights: it is no such file, or holds other things than tensors.

    """
    try:
        held = _held(file)
    except DAMAGE as error:
        raise WrongWeights(f"{file} cannot be read as tensors alone") from error
    if isinstance(held, dict):
        held = next((held[shelf] for shelf in SHELVES if shelf in held), held)
    if not isinstance(held, dict) or not all(isinstance(held[name], Tensor) for name in held):
        raise WrongWeights(f"{file} holds other things than named tensors")
    return {_bare(name): tensor for name, tensor in held.items()}


def _held(file: Path) -> object:
    if file.suffix == ".safetensors":
        return load_file(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def _bare(name: str) -> str:
    while wrapper := next((wrapper for wrapper in WRAPPERS if name.startswith(wrapper)), ""):
        name = name.removeprefix(wrapper)
    return name
