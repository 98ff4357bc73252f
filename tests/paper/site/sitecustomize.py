"""Let PyPI's torchvision import beside a torch that was built for CPUs only.

Its operators come with CUDA libraries that such a machine lacks, and without them it stops at the
declaration of two. Python imports this in the processes that the tests of the paper engine start.
"""

import importlib.util


def _declare() -> None:
    import torch

    if torch.version.cuda is None:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch.library._photomend = library  # it lasts as long as this does


if importlib.util.find_spec("torch") and importlib.util.find_spec("torchvision"):
    _declare()
