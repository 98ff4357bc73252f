"""Convert images to tensors and back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from storage.errors import GpuLost
from storage.photos import Image
from tasks import gpu_probe


def tensor_of(image: Image, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a copy of an image as a tensor (1, 3, H, W) on a device, RGB in the same range."""
    planes = np.array(np.moveaxis(image, -1, 0), np.float32, order="C")
    return torch.from_numpy(planes)[None].to(device, dtype)


def image_of(tensor: Tensor) -> Image:
    """Return a tensor (1, 3, H, W) as an image, in the same range."""
    return np.ascontiguousarray(np.moveaxis(tensor[0].float().cpu().numpy(), 0, -1), np.float32)


def without_infinite(tensor: Tensor) -> Tensor:
    """Return a tensor with NaN for what is infinite: limiting it to a range would hide that."""
    return tensor.masked_fill(tensor.isinf(), torch.nan)


@contextmanager
def in_float32(*nets: Any) -> Iterator[None]:
    """Run networks of one type in float32 inside the `with`, and in their own type after it."""
    own = nets[0].dtype
    try:
        for net in nets:
            net.to(torch.float32)
        yield
    finally:
        for net in nets:
            net.to(own)


def best_device() -> torch.device:
    """Return the GPU if this process can use one, else the CPU.

    Raises:
        GpuLost: the worker had lost its GPU, and torch finds none.

    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if os.environ.get(gpu_probe.WAS_LOST):
        raise GpuLost("the GPU is lost: torch finds none")
    return torch.device("cpu")
