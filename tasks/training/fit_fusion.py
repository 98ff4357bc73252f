"""Fit the perceptron of `tasks.lite.fusion`: `python -m tasks.training.fit_fusion`.

Whole photos are degraded as for the classifier, classified by the shipped nets and measured. The
perceptron is fitted in seconds. The limits of the classifier are chosen from the table that is
printed for held-out photos.
"""

import argparse
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from storage.enums import Category, Degradation
from tasks.evaluation import metrics
from tasks.imaging.evidence import measure
from tasks.lite import fusion
from tasks.lite.classifier import logits
from tasks.lite.limits import MIN_SEVERITY
from tasks.lite.veil import veil
from tasks.training.data import classifier_examples, photo_pool
from tasks.training.objectives import SEED
from tasks.verdict import TREATED

SIDE = 448
"""Side of a photo in pixels: the largest that fits into a tile with its margin."""
HIDDEN, STEPS, DECAY = 24, 1000, 0.3
MEMBERS = 6
"""Perceptrons with different initial weights, whose mean is the result."""
PRESENT_SEVERITY = 0.5
"""Severity above which a degradation is present, for the AUC."""


def examples(tiles: Tensor, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make `count` photos; return their figures (N, F), and their true severities (N, 5)."""
    figures, severities = [], []
    for _ in track(range(count), "photos"):
        example = classifier_examples.labelled(tiles, 1, SIDE, rng)
        image = np.ascontiguousarray(example.images[0].permute(1, 2, 0).numpy())
        measured = fusion.figures_of(logits(image), veil(image).logit, measure(image))
        figures.append(torch.from_numpy(measured))
        severities.append(example.severities[0])
    return torch.stack(figures), torch.stack(severities)


def shares_of(severities: Tensor) -> Tensor:
    """Return the shares of the categories in photos of such severities, (N, 4)."""
    worst = {
        category: severities[:, [list(Degradation).index(kind) for kind in kinds]].amax(1)
        for category, kinds in TREATED.items() if kinds
    }  # fmt: skip
    worst[Category.CLEAN] = 1 - severities.amax(1)
    shares = torch.stack([worst[category] for category in fusion.CATEGORIES], 1)
    return shares / shares.sum(1, keepdim=True)


def fitted(figures: Tensor, severities: Tensor) -> nn.Sequential:
    """Fit `MEMBERS` perceptrons to standardised figures; return one that computes their mean."""
    members = [_fitted(figures, severities, SEED + number) for number in range(MEMBERS)]
    enter, leave = (cast("list[nn.Linear]", [each[at] for each in members]) for at in (0, 2))
    inputs, outputs = figures.shape[1], leave[0].out_features
    net = nn.Sequential(
        nn.Linear(inputs, MEMBERS * HIDDEN), nn.Tanh(), nn.Linear(MEMBERS * HIDDEN, outputs)
    )
    net.load_state_dict({
        "0.weight": torch.cat([layer.weight for layer in enter]),
        "0.bias": torch.cat([layer.bias for layer in enter]),
        "2.weight": torch.cat([layer.weight for layer in leave], 1) / MEMBERS,
        "2.bias": torch.stack([layer.bias for layer in leave]).mean(0),
    })  # fmt: skip
    return net.eval()


def _fitted(figures: Tensor, severities: Tensor, seed: int) -> nn.Sequential:
    """Fit one perceptron; rare categories and degradations get larger weights in the loss."""
    torch.manual_seed(seed)
    outputs = len(Degradation) + len(Category)
    net = nn.Sequential(nn.Linear(figures.shape[1], HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, outputs))
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    shares, frequency = shares_of(severities), severities.mean(0)
    category_weights, positive_weights = 1 / shares.mean(0), 1 / frequency - 1
    for _ in range(STEPS):
        logits, votes = net(figures).split([len(Degradation), len(Category)], 1)
        loss = functional.binary_cross_entropy_with_logits(
            logits, severities, pos_weight=positive_weights
        )
        loss = loss + functional.cross_entropy(votes, shares * category_weights / len(Category))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        optimiser.step()
        schedule.step()
    return net


@torch.inference_mode()
def report(net: nn.Sequential, figures: Tensor, severities: Tensor) -> str:
    """Return a report on held-out photos: AUC, accuracy, calibration, and shares above limits."""
    logits, votes = net(figures).split([len(Degradation), len(Category)], 1)
    shares, truth = votes.softmax(1), shares_of(severities).argmax(1)
    sure, found = shares.max(1)
    lines = [f"{len(figures)} held-out photos"]
    for column, kind in enumerate(Degradation):
        there, scores = severities[:, column], logits[:, column]
        area = metrics.auc(scores[there > PRESENT_SEVERITY].tolist(), scores[there == 0].tolist())
        lines.append(f"  AUC of {kind.value}: {area or 0:.3f}")
    balanced = np.mean([(found[truth == c] == c).float().mean() for c in range(len(Category))])
    error = metrics.calibration_error(sure.tolist(), (found == truth).tolist())
    lines.append(f"  right, balanced: {balanced:.3f}; calibration error {error or 0:.3f}")
    good = severities.amax(1) == 0
    for column, kind in enumerate(Degradation):
        bad, scores = severities[:, column] == 1, logits[:, column].sigmoid()
        shares_above = ", ".join(
            f"{threshold}: {(scores[good] >= threshold).float().mean():.3f} and "
            f"{(scores[bad] >= threshold).float().mean():.2f}"
            for threshold in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
        )
        lines.append(f"  share of good and of bad photos with {kind.value} above {shares_above}")
    weighed = [kind for kind in Degradation if kind is not Degradation.REFLECTION]
    touched = torch.zeros(int(good.sum()), dtype=torch.bool)
    for kind in weighed:
        touched |= logits[good, list(Degradation).index(kind)].sigmoid() >= MIN_SEVERITY[kind]
    lines.append(
        f"  share of {int(good.sum())} good photos that would be mended: "
        f"{touched.float().mean():.3f}, without reflections, which the perceptron does not decide"
    )
    return "\n".join(lines)


def save(net: nn.Sequential, mean: Tensor, spread: Tensor, file: Path) -> None:
    """Write the layers to the file that `tasks.lite.fusion` reads."""
    first, last = (net[at].state_dict() for at in (0, 2))
    layers = (mean, spread, first["weight"], first["bias"], last["weight"], last["bias"])
    named = zip(fusion.Layers._fields, layers, strict=True)
    np.savez(file, **{name: layer.numpy() for name, layer in named})


def main() -> None:
    """Read the command line, make photos, fit, print the report and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument("--good", type=Path, nargs="*", default=[], help="folders of good photos")
    parser.add_argument("--count", type=int, default=12_000, help="photos to fit to")
    arguments = parser.parse_args()
    photos = photo_pool.with_good([arguments.photos], arguments.good)
    rng = torch.Generator().manual_seed(SEED)
    figures, severities = examples(photos.fitted, arguments.count, rng)
    mean, spread = figures.mean(0), figures.std(0) + 1e-6
    net = fitted((figures - mean) / spread, severities)
    figures, severities = examples(photos.held_out, arguments.count // 4, rng)
    print(report(net, (figures - mean) / spread, severities))
    save(net, mean, spread, fusion.FILE)
    print(fusion.FILE)


if __name__ == "__main__":
    main()
