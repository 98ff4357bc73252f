"""Where arrays become tensors and tensors arrays."""

import numpy as np
import torch
from torch import Tensor

from storage.photos import Image


def planes(image: Image, device: torch.device) -> Tensor:
    """Give an image as a tensor (1, 3, H, W) of its own, RGB in the same range."""
    return (
        torch.from_numpy(np.array(image, np.float32, order="C")).permute(2, 0, 1)[None].to(device)
    )


def image(planes: Tensor) -> Image:
    """Give a tensor (1, 3, H, W) as an image, in the same range."""
    return np.ascontiguousarray(planes[0].permute(1, 2, 0).float().cpu().numpy())
