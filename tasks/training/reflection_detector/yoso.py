"""Fit a YOSO of one class to strong reflections, in plain PyTorch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from storage.errors import WeightsWrong
from tasks.paper.checkpoints import opened
from tasks.paper.detectors.reflections import LEAST_SCORE
from tasks.paper.nets.segments import region_of
from tasks.paper.nets.yoso import TEMPERATURE, Net, Normed, Proposals, YosoNet, sizes, unframed
from tasks.training.data.photo_pool import Pool
from tasks.training.fit import SEED, Fit, Work
from tasks.training.reflection_detector import strong_reflections
from tasks.training.reflection_detector.strong_reflections import Scenes

LOOKED_AT = 32
"""Held-out images on which a fit is reported."""
REPORTS = 20
"""In a fit; after each of them, it may be stopped and goes on from there."""


def fit(
    work: Work, steps: int, kept: Path, device: torch.device, tell: Callable[[str], None]
) -> dict[str, Tensor]:
    """Fit for so many steps, going on from the file `kept` if it is there; return the weights."""
    fit = Fit(work, device)
    if kept.is_file():
        fit.load(kept)
    while fit.step < steps:
        fit.take(steps)
        if fit.step % -(-steps // REPORTS) == 0 or fit.step == steps:
            fit.save(kept)
            tell(f"step {fit.step} of {steps}, {fit.report()} on photos that were held out")
    return frozen(fit.average)


def segmenting(
    pool: Pool, side: int, count: int, net: Net, rate: float, begin: Path | None,
    device: torch.device,
) -> Work:  # fmt: skip
    """Learn which pixels are hidden, on crops of `side` pixels, a multiple of 32.

    Begins from nothing, or from a file: then its sizes count, and `net` only gives the classes.
    """
    tiles = pool.fitted.to(device)
    chance = torch.Generator(device).manual_seed(SEED)
    fixed = strong_reflections.make(pool.held_out.to(device), LOOKED_AT, side, chance)

    def of_new(net: nn.Module, chance: torch.Generator) -> Tensor:
        return loss(net, strong_reflections.make(tiles, count, side, chance))

    def report(net: nn.Module) -> str:
        return f"intersection over union {overlap(net, fixed):.3f}"

    return Work(partial(begun, net, begin), of_new, report, rate)


def loss(net: nn.Module, scenes: Scenes) -> Tensor:
    """Judge each round's masks by their union, and its classes by what the masks drew.

    What is painted over is the union, so proposals need not be told apart, and none is matched to a
    reflection of its own, as YOSO does it after DETR.
    """
    assert isinstance(net, YosoNet)
    targets = functional.avg_pool2d(scenes.masks, 4)  # (B, 1, H/4, W/4)
    rounds = [
        _of_masks(made, targets) + _of_classes(made, targets) for made in net.rounds(scenes.images)
    ]
    return torch.stack(rounds).mean()


def _of_masks(made: Proposals, targets: Tensor) -> Tensor:
    """Compare the union with the target: cross-entropy, and Dice, for which size does not matter.

    In the union a pixel is what the proposal says of it that is surest to have it.
    """
    union = made.masks.amax(1, keepdim=True)  # logits, (B, 1, H/4, W/4)
    entropy = functional.binary_cross_entropy_with_logits(union, targets)
    inside = union.sigmoid()
    both, all_ = (planes.sum((1, 2, 3)) for planes in (inside * targets, inside + targets))
    return entropy + (1 - (2 * both + 1) / (all_ + 1)).mean()


def _of_classes(made: Proposals, targets: Tensor) -> Tensor:
    """Ask of each proposal whether most of what it drew is reflection; drawing nothing is not.

    The loss counts as much as if the logits were not divided by the temperature, which makes its
    slope 20 times as steep as that of the masks.
    """
    drawn = (made.masks.detach() > 0).to(targets)
    right = (drawn * targets).sum((2, 3)) > drawn.sum((2, 3)) / 2  # (B, N)
    return TEMPERATURE * functional.cross_entropy(made.logits.transpose(1, 2), (~right).long())


@torch.inference_mode()
def overlap(net: nn.Module, scenes: Scenes) -> float:
    """Give the intersection over union of found and true pixels, of all images together."""
    both = either = 0
    for image, mask in zip(torch.split(scenes.images, 1), scenes.masks[:, 0] > 0.5, strict=True):
        logits, masks = net(image)
        found = region_of(logits[0], unframed(masks, image.shape[2:])[0], 0, LEAST_SCORE)
        both, either = both + int((found & mask).sum()), either + int((found | mask).sum())
    return both / max(1, either)


def begun(net: Net, begin: Path | None) -> YosoNet:
    """Build a net with random weights, or with those of a file that do not depend on its classes.

    Raises:
        WeightsMissing, WeightsWrong: the file is not there, or holds no YOSO.

    """
    if begin is None:
        return thawed(YosoNet(net))
    given = opened(begin)
    try:
        made = YosoNet(sizes(given)._replace(classes=net.classes))
        own = made.state_dict()
        alike = {name: v for name, v in given.items() if own[name].shape == v.shape}
    except KeyError as error:
        raise WeightsWrong(f"{begin} holds no YOSO: {error}") from error
    made.load_state_dict(own | alike)
    return made


def thawed(net: YosoNet) -> YosoNet:
    """Let a net that begins from nothing learn the statistics of its normalisations.

    They are named and used alike in both, so that `frozen` finds them.
    """
    for module in net.modules():
        if isinstance(module, Normed):
            module.norm = nn.BatchNorm2d(module.out_channels)
    return net


def frozen(net: nn.Module) -> dict[str, Tensor]:
    """Give the weights as YOSO's files have them, with the statistics as they were learnt."""
    counts = {
        f"{name}.norm.num_batches_tracked"
        for name, module in net.named_modules()
        if isinstance(module, Normed)
    }
    state = net.state_dict()
    return {name: state[name].contiguous().cpu() for name in state if name not in counts}
