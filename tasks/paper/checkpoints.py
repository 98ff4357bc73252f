"""Read checkpoints without running code that is stored in them."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from storage.errors import WeightsMissing, WeightsWrong
from tasks.paper import archives, torchscript

WRAPPER_KEYS = (
    "model_state_dict",
    "state_dict",
    "params_ema",
    "params-ema",
    "params",
    "model",
    "net",
)
"""Keys under which checkpoints store their state dict, in spandrel's order of preference."""
_DAMAGE_ERRORS = (
    AttributeError, BadZipFile, EOFError, IndexError, KeyError, MemoryError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""Errors that unpicklers raise for damaged files."""
MAX_STATED_BYTES = 2 << 30
"""Most bytes that tensors state: one that repeats its values states more than is stored, and nets are
built by what is stated. The largest net read here has 380 MB."""
PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that torch's DataParallel and compile add to each key."""


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, on the CPU, without running code in it.

    The file is .safetensors, or .pth or .pt as torch.save or torch.jit.save write them. A wrapped
    state dict is unwrapped, and prefixes of wrapped networks are removed.

    Raises:
        WeightsMissing: the file does not exist.
        WeightsWrong: the file is of another kind, damaged, or holds more than tensors.

    """
    match file.suffix:
        case ".safetensors":
            found: Any = _read_safetensors(file)
        case ".pth" | ".pt":
            found = _unwrapped(_read_torch(file))
        case _:
            raise WeightsWrong(
                f"{file} is not opened: only .safetensors, .pth and .pt are read without running code"
            )
    return _checked(file, found)


def _read_safetensors(file: Path) -> Any:
    from safetensors import SafetensorError  # PyTorch's own files are opened without it
    from safetensors.torch import load_file

    try:
        archives.check(file)
        return load_file(file)
    except FileNotFoundError as error:
        raise WeightsMissing(f"{file} is not there") from error
    except SafetensorError as error:
        raise WeightsWrong(f"{file} cannot be read: {error}") from error


def _read_torch(file: Path) -> Any:
    try:
        archives.check(file)
        if torchscript.is_archive(file):
            return torchscript.read_tensors(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsMissing(f"{file} is not there") from error
    except UnpicklingError as error:
        raise WeightsWrong(
            f"{file} is refused: it holds more than tensors, and opening it could run code"
        ) from error
    except _DAMAGE_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise WeightsWrong(f"{file} cannot be read: {reason}") from error


def _unwrapped(found: Any) -> Any:
    for key in WRAPPER_KEYS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            return found[key]
    return found


def _checked(file: Path, found: Any) -> dict[str, Tensor]:
    if not isinstance(found, dict) or not found:
        raise WeightsWrong(f"{file} holds no state dict")
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsWrong(f"{file} holds more than tensors: {key!r}, {type(value).__name__}")
        if value.device.type != "cpu" or value.layout is not torch.strided:
            raise WeightsWrong(f"{file} is refused: it states a tensor {key!r} without its values")
    if sum(tensor.nbytes for tensor in found.values()) > MAX_STATED_BYTES:
        raise WeightsWrong(f"{file} is refused: its tensors state too many values")
    tensors: dict[str, Tensor] = found
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors
