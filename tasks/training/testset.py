"""Make the photos that the engine is measured on: `python -m tasks.training.testset --photos FOLDER`.

Held-out photos only, spoilt with fixed seeds in ways of which some were never trained on: straight
movements, and reflections whose overflow is taken off (Zhang et al., "Single image reflection
separation with perceptual losses", 2018). Real pairs are listed as they lie. Writes two manifests.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor

from tasks import degrade
from tasks.evaluation.manifest import COLUMNS
from tasks.kernels import streak
from tasks.light import GAMMA
from tasks.training import pool, shake, synthesis

SEED = 7
COUNT = 90
"""Photos of each group."""
SIDE = 512 - synthesis.MARGIN
REAL = {  # folder of the photos, folder of their truths, label
    "drealsr_pairs": ("drealsr_pairs/drealsr_pairs/test_LR", "../test_HR", "A"),
    "refl_real20": ("refl_real20/real20_pairs/blended", "../transmission_layer", "B"),
    "refl_location": ("refl_location/location_aware_pairs/blend", "../transmission", "B"),
    "blur_kohler": ("blur_kohler_scene12/kohler48", "", "C"),
    "lq_real": ("lq_real", "", "A"),
    "refl_real": ("refl_real", "", "B"),
}
"""Of the research photos: two folders to look in, and what their photos lack."""

Spoil = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Takes images and others of the same shape to reflect in them."""


def noise(images: Tensor, _others: Tensor, chance: torch.Generator) -> Tensor:
    """Add noise of all kinds, sigma 5 to 25."""
    sigma = _between(len(images), 5, 25, chance)[:, None, None, None] / 255
    return images + synthesis.noise(images, sigma, chance)


def softness(images: Tensor, _others: Tensor, chance: torch.Generator) -> Tensor:
    """Blur by Gaussians of sigma 0.6 to 1.6 pixels."""
    kernels = synthesis.gaussians(_between(len(images), 0.6, 1.6, chance))
    return _as_light(images, lambda light: synthesis.spread(light, kernels))


def motion(images: Tensor, _others: Tensor, chance: torch.Generator) -> Tensor:
    """Move by 8 to 28 pixels, every second image straight."""
    kernels = shake.kernels(len(images), 8, 28, chance)
    for at in range(0, len(images), 2):
        length, angle = (float(_between(1, *span, chance)) for span in ((8, 28), (0, 180)))
        straight = torch.from_numpy(np.array(streak(length, angle)))
        frame = (shake.SIDE - straight.shape[0]) // 2
        kernels[at] = torch.nn.functional.pad(straight, (frame,) * 4)
    return _as_light(images, lambda light: synthesis.spread(light, kernels))


def reflection(images: Tensor, others: Tensor, chance: torch.Generator) -> Tensor:
    """Lay a blurred second scene over each image, and take its overflow off."""
    share = _between(len(images), 0.3, 0.8, chance)[:, None, None, None]
    blurred = synthesis.spread(
        others**GAMMA * share, synthesis.gaussians(_between(len(images), 1, 5, chance))
    )
    light = images**GAMMA
    both = light + blurred
    over = (both - 1).clamp(min=0).mean((1, 2, 3), keepdim=True)
    return (light + (blurred - 1.1 * over).clamp(min=0)).clamp(0, 1) ** (1 / GAMMA)


def mixed(images: Tensor, others: Tensor, chance: torch.Generator) -> Tensor:
    """Make soft, then noisy."""
    return noise(softness(images, others, chance), others, chance)


GROUPS: dict[str, tuple[str, Spoil]] = {
    "noise": ("A", noise), "softness": ("A", softness), "motion": ("C", motion),
    "reflection": ("B", reflection), "mixed": ("A", mixed),
}  # fmt: skip


def synthetic(tiles: Tensor, out: Path, count: int) -> Iterator[dict[str, str]]:
    """Write spoilt photos and their truths; yield a row for each."""
    chance = torch.Generator().manual_seed(SEED)
    clean = _cut(synthesis.crops(tiles, count, SIDE + synthesis.MARGIN, chance))
    for number, image in enumerate(clean):
        path = _save(image, out / "clean" / f"{number:03}.png")
        yield _row(path, out, "D", "clean", path)
        quality = int(_between(1, 30, 80, chance))
        file = out / "compression" / f"{number:03}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        Pictures.fromarray(pixels).save(file, quality=quality, subsampling=2 * (number % 2))
        yield _row(file, out, "A", "compression", path)
    for number, image in enumerate(clean):
        grain = degrade.noisy(image.permute(1, 2, 0).numpy(), 2.5, np.random.default_rng(number))
        path = out / "hard negatives" / f"{number:03}.png"
        whole = torch.from_numpy(grain).permute(2, 0, 1)
        grey = number % 2 and whole.mean(0, keepdim=True).expand_as(whole)
        path = _save(grey if isinstance(grey, Tensor) else whole, path)
        yield _row(path, out, "D", "hard negatives", path)
    for group, (label, spoil) in GROUPS.items():
        whole = synthesis.crops(tiles, count, SIDE + synthesis.MARGIN, chance)
        others = synthesis.crops(tiles, count, SIDE + synthesis.MARGIN, chance)
        spoilt = spoil(whole, others, chance).clamp(0, 1)
        for number, (before, truth) in enumerate(zip(_cut(spoilt), _cut(whole), strict=True)):
            photo = _save(before, out / group / f"{number:03}.png")
            yield _row(photo, out, label, group, _save(truth, out / group / f"{number:03}-gt.png"))


def real(research: Path, out: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each real photo, with its truth where there is one."""
    for group, (folder, truths, label) in REAL.items():
        for path in sorted((research / folder).rglob("*")):
            if path.suffix.lower() not in pool.SUFFIXES:
                continue
            truth = next(iter((path.parent / truths).glob(f"{path.stem}.*")), None)
            yield _row(path, out, label, group, truth if truths else None)


def main() -> None:
    """Write both manifests and the photos of the synthetic one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument("--research", type=Path, help="a folder of real pairs")
    parser.add_argument("--out", type=Path, default=Path("out/testset"))
    parser.add_argument("--count", type=int, default=COUNT, help="photos of each group")
    wishes = parser.parse_args()
    out: Path = wishes.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tiles = pool.load(wishes.photos).held_out
    _write(out / "synthetic.csv", synthetic(tiles, out, wishes.count))
    if wishes.research is not None:
        _write(out / "real.csv", real(wishes.research.resolve(), out))


def _write(manifest: Path, rows: Iterator[dict[str, str]]) -> None:
    with manifest.open("w", newline="") as file:
        written = csv.DictWriter(file, COLUMNS)
        written.writeheader()
        written.writerows(rows)
    print(manifest)


def _row(path: Path, out: Path, label: str, group: str, truth: Path | None) -> dict[str, str]:
    named = ["" if each is None else str(each) for each in (_from(path, out), _from(truth, out))]
    return {"path": named[0], "label": label, "truth": named[1], "group": group}


def _from(path: Path | None, out: Path) -> Path | None:
    return path.relative_to(out) if path is not None and path.is_relative_to(out) else path


def _cut(images: Tensor) -> Tensor:
    half = synthesis.MARGIN // 2
    return images[..., half : half + SIDE, half : half + SIDE]


def _save(image: Tensor, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
    return path


def _as_light(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(images**GAMMA).clamp(0, 1) ** (1 / GAMMA)


def _between(count: int, least: float, most: float, chance: torch.Generator) -> Tensor:
    return least + (most - least) * torch.rand(count, generator=chance)


if __name__ == "__main__":
    main()
