"""Between images and the tensors that nets take."""

import numpy as np
import torch
from torch import Tensor

from storage.photos import Image


def tensor_of(image: Image, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Give an image as a tensor (1, 3, H, W) on a device."""
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0), np.float32)
    return torch.from_numpy(planes)[None].to(device, dtype)


def image_of(tensor: Tensor) -> Image:
    """Give a tensor (1, 3, H, W) as an image in [0, 1]."""
    planes = tensor[0].float().clamp(0, 1).cpu().numpy()
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1), np.float32)
