"""Fit a YOSO of one class to strong reflections, in plain PyTorch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from storage.errors import WeightsWrong
from tasks.paper.checkpoints import read_tensors
from tasks.paper.detectors.reflections import MIN_SCORE
from tasks.paper.nets.resnet import NormedConv
from tasks.paper.nets.segments import region_of
from tasks.paper.nets.yoso import (
    TEMPERATURE,
    Proposals,
    Sizes,
    YosoNet,
    sizes,
    unpadded,
)
from tasks.training.data.photo_pool import Pool
from tasks.training.fit import Fit
from tasks.training.objectives import SEED, Objective
from tasks.training.reflection_detector import strong_reflections
from tasks.training.reflection_detector.strong_reflections import Scenes

REPORT_IMAGES = 32
"""Held-out images of a report."""
REPORTS = 20
"""Reports of a fit; its state is saved with each."""


def fit(
    objective: Objective,
    steps: int,
    state_file: Path,
    device: torch.device,
    report: Callable[[str], None],
) -> dict[str, Tensor]:
    """Fit for `steps` steps, continuing from `state_file` if it exists; return the weights."""
    fit = Fit(objective, device)
    if state_file.is_file():
        fit.load(state_file)
    while fit.step < steps:
        fit.take_step(steps)
        if fit.step % -(-steps // REPORTS) == 0 or fit.step == steps:
            fit.save(state_file)
            report(f"step {fit.step} of {steps}, {fit.report()} on held-out photos")
    return inference_weights(fit.average)


def segmenter_objective(
    pool: Pool, side: int, count: int, net: Sizes, rate: float, weights: Path | None,
    device: torch.device,
) -> Objective:  # fmt: skip
    """Build the objective of the segmenter, on crops of `side` pixels, a multiple of 32.

    The net starts with random weights, or with those of a file, which also determines all its sizes
    except the classes.
    """
    tiles = pool.fitted.to(device)
    rng = torch.Generator(device).manual_seed(SEED)
    fixed = strong_reflections.make(pool.held_out.to(device), REPORT_IMAGES, side, rng)

    def batch_loss(net: nn.Module, rng: torch.Generator) -> Tensor:
        return loss(net, strong_reflections.make(tiles, count, side, rng))

    def report(net: nn.Module) -> str:
        return f"intersection over union {overlap(net, fixed):.3f}"

    return Objective(partial(initial_net, net, weights), batch_loss, report, rate)


def loss(net: nn.Module, scenes: Scenes) -> Tensor:
    """Return the loss of the masks' union and of the classes, as the mean of all rounds.

    The union is inpainted, so proposals are not matched to single reflections as in YOSO and DETR.
    """
    assert isinstance(net, YosoNet)
    targets = functional.avg_pool2d(scenes.masks, 4)  # (B, 1, H/4, W/4)
    rounds = [
        _mask_loss(proposals, targets) + _class_loss(proposals, targets)
        for proposals in net.rounds(scenes.images)
    ]
    return torch.stack(rounds).mean()


def _mask_loss(proposals: Proposals, targets: Tensor) -> Tensor:
    """Return the cross-entropy and the Dice loss, which is independent of size, of the union.

    A pixel of the union has the largest logit of all proposals.
    """
    union = proposals.masks.amax(1, keepdim=True)  # logits, (B, 1, H/4, W/4)
    entropy = functional.binary_cross_entropy_with_logits(union, targets)
    inside = union.sigmoid()
    both, all_ = (planes.sum((1, 2, 3)) for planes in (inside * targets, inside + targets))
    return entropy + (1 - (2 * both + 1) / (all_ + 1)).mean()


def _class_loss(proposals: Proposals, targets: Tensor) -> Tensor:
    """Return the loss of the classes: reflection where most of a proposal's mask is reflection.

    An empty mask is none. The loss is multiplied by the temperature that the logits are divided by,
    which would make its gradient 20 times that of the masks.
    """
    drawn = (proposals.masks.detach() > 0).to(targets)
    right = (drawn * targets).sum((2, 3)) > drawn.sum((2, 3)) / 2  # (B, N)
    return TEMPERATURE * functional.cross_entropy(proposals.logits.transpose(1, 2), (~right).long())


@torch.inference_mode()
def overlap(net: nn.Module, scenes: Scenes) -> float:
    """Return the intersection over union of found and true pixels, of all images together."""
    both = either = 0
    for image, mask in zip(torch.split(scenes.images, 1), scenes.masks[:, 0] > 0.5, strict=True):
        logits, masks = net(image)
        found = region_of(logits[0], unpadded(masks, image.shape[2:])[0], 0, MIN_SCORE)
        both, either = both + int((found & mask).sum()), either + int((found | mask).sum())
    return both / max(1, either)


def initial_net(net: Sizes, weights: Path | None) -> YosoNet:
    """Build a net with random weights, or with those of a file that do not depend on its classes.

    Raises:
        WeightsMissing, WeightsWrong: the file does not exist, or has no weights of a YOSO.

    """
    if weights is None:
        return with_batch_norm(YosoNet(net))
    state = read_tensors(weights)
    try:
        initial = YosoNet(sizes(state)._replace(classes=net.classes))
        own = initial.state_dict()
        alike = {name: v for name, v in state.items() if own[name].shape == v.shape}
    except KeyError as error:
        raise WeightsWrong(f"{weights} holds no YOSO: {error}") from error
    initial.load_state_dict(own | alike)
    return initial


def with_batch_norm(net: YosoNet) -> YosoNet:
    """Replace a net's fixed normalisations by batch normalisations, whose statistics are learnt.

    Their weights have the same names, so `inference_weights` can return them.
    """
    for module in net.modules():
        if isinstance(module, NormedConv):
            module.norm = nn.BatchNorm2d(module.out_channels)
    return net


def inference_weights(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights with the names of YOSO's files, with the learnt statistics."""
    counts = {
        f"{name}.norm.num_batches_tracked"
        for name, module in net.named_modules()
        if isinstance(module, NormedConv)
    }
    state = net.state_dict()
    return {name: state[name].contiguous().cpu() for name in state if name not in counts}
