"""Read a checkpoint as its authors publish it, without running code that may hide in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

WRAPPERS = ("params", "model", "state_dict")
"""Keys under which training programs keep the weights beside other things."""


def state_dict(file: Path) -> dict[str, Tensor]:
    """Give the weights of a `.safetensors` file or of a pickled one, by the names of the net."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    kept: Mapping[str, object] = torch.load(file, map_location="cpu", weights_only=True)
    wrapped = next((kept[name] for name in WRAPPERS if name in kept), kept)
    weights = cast(Mapping[str, Tensor], wrapped)
    # A net that was fitted on several GPUs has one more name in front.
    return {name.removeprefix("module."): tensor for name, tensor in weights.items()}


def number(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Count the modules of a sequence: those whose names begin with `prefix`, a dot and a digit."""
    depth = prefix.count(".") + 1
    inside = (name.split(".") for name in weights if name.startswith(f"{prefix}."))
    return len({parts[depth] for parts in inside if parts[depth].isdigit()})
