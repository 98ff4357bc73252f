"""Make the photos of `make evaluate`: `python -m tasks.training.testset --photos FOLDER`.

Held-out photos are degraded with fixed seeds, also in ways that no net was trained on: straight
movements, and reflections with clipped highlights (Zhang et al., "Single image reflection
separation with perceptual losses", 2018). Writes one manifest of these photos, and one of real
photos, which stay where they are.
"""

import argparse
import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor

from tasks.evaluation.manifest import CAMERA, COLUMNS
from tasks.imaging.kernels import streak
from tasks.imaging.light import GAMMA
from tasks.training.data import augmentations, degradations, motion_kernels, photo_pool
from tasks.training.data.blur import gaussians, spread
from tasks.training.data.compression import jpeg
from tasks.training.data.noise import noise as grain

SEED = 7
COUNT = 90
"""Photos of each group; a third as many of each mix."""
SIDE = 512 - degradations.MARGIN
TRUTHS = {
    "drealsr_pairs": ("test_LR", "test_HR"),
    "refl_real20": ("blended", "transmission_layer"),
    "refl_location": ("blend", "transmission"),
}
"""For real pairs: the folder of the photos, and the folder beside it with their truths."""
NOISE, NOISE_AS_PNG = "noise_polyu", "noise_polyu as PNG"
"""Groups of real noise: the files as they are, and without their JPEG tables."""

Degrade = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Takes images, and others of the same shape that may be reflected in them."""


def noise(images: Tensor, _others: Tensor, rng: torch.Generator) -> Tensor:
    """Add noise of all kinds, sigma 5 to 25."""
    sigma = _between(len(images), 5, 25, rng)[:, None, None, None] / 255
    return images + grain(images, sigma, rng)


def softness(images: Tensor, _others: Tensor, rng: torch.Generator) -> Tensor:
    """Blur by Gaussians of sigma 0.6 to 1.6 pixels."""
    kernels = gaussians(_between(len(images), 0.6, 1.6, rng))
    return _as_light(images, lambda light: spread(light, kernels))


def motion(images: Tensor, _others: Tensor, rng: torch.Generator) -> Tensor:
    """Move by 8 to 28 pixels; every second image in a straight line."""
    kernels = motion_kernels.kernels(len(images), 8, 28, rng)
    for at in range(0, len(images), 2):
        length, angle = (float(_between(1, *span, rng)) for span in ((8, 28), (0, 180)))
        straight = torch.from_numpy(np.array(streak(length, angle)))
        frame = (motion_kernels.SIDE - straight.shape[0]) // 2
        kernels[at] = torch.nn.functional.pad(straight, (frame,) * 4)
    return _as_light(images, lambda light: spread(light, kernels))


def reflection(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Add a blurred second scene to each image, less the mean excess over white."""
    share = _between(len(images), 0.3, 0.8, rng)[:, None, None, None]
    blurred = spread(others**GAMMA * share, gaussians(_between(len(images), 1, 5, rng)))
    light = images**GAMMA
    both = light + blurred
    over = (both - 1).clamp(min=0).mean((1, 2, 3), keepdim=True)
    return (light + (blurred - 1.1 * over).clamp(min=0)).clamp(0, 1) ** (1 / GAMMA)


def compression(images: Tensor, _others: Tensor, rng: torch.Generator) -> Tensor:
    """Compress as JPEG of qualities 30 to 80."""
    return jpeg(images.clamp(0, 1), _between(len(images), 30, 80, rng), rng)


DEGRADATIONS: dict[str, Degrade] = {
    "noise": noise, "softness": softness, "motion": motion, "reflection": reflection,
    "compression": compression,
}  # fmt: skip
GROUPS = {  # degradations in their order, and the label
    "noise": "A", "softness": "A", "motion": "C", "reflection": "B", "softness+noise": "A",
    "noise+compression": "A", "softness+compression": "A",
}  # fmt: skip


def synthetic(tiles: Tensor, out: Path, count: int) -> Iterator[dict[str, str]]:
    """Write degraded photos and their truths; yield a row of the manifest for each."""
    rng = torch.Generator().manual_seed(SEED)
    clean = _cut(degradations.crops(tiles, count, SIDE + degradations.MARGIN, rng))
    for number, image in enumerate(clean):
        path = _save(image, out / "clean" / f"{number:03}.png")
        yield _row(path, out, "D", "clean", path)
        quality = int(_between(1, 30, 80, rng))
        file = out / "compression" / f"{number:03}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        Pictures.fromarray(pixels).save(file, quality=quality, subsampling=2 * (number % 2))
        yield _row(file, out, "A", "compression", path)
    kinds = [
        *augmentations.AUGMENTATIONS.items(),
        ("monochrome", augmentations.monochrome),
        ("grain", _grain),
    ]
    for number, image in enumerate(degradations.crops(tiles, count, SIDE, rng)):
        kind, vary = kinds[number % len(kinds)]
        varied = vary(image[None], rng)[0].clamp(0, 1)
        path = _save(varied, out / "hard negatives" / f"{number:03}-{kind}.png")
        yield _row(path, out, "D", "hard negatives", path)
    for group, label in GROUPS.items():
        number = count // 3 if "+" in group else count
        whole, others = (
            degradations.crops(tiles, number, SIDE + degradations.MARGIN, rng) for _ in range(2)
        )
        degraded = whole
        for step in group.split("+"):
            degraded = DEGRADATIONS[step](degraded, others, rng).clamp(0, 1)
        for number, (before, truth) in enumerate(zip(_cut(degraded), _cut(whole), strict=True)):
            photo = _save(before, out / group / f"{number:03}.png")
            yield _row(photo, out, label, group, _save(truth, out / group / f"{number:03}-gt.png"))
    rows = torch.split(degradations.crops(tiles, 48, 500, rng), 8)
    large = torch.cat([torch.cat(list(row), 2) for row in rows], 1)  # (3, 3000, 4000)
    path = _save(
        noise(softness(large[None], large, rng), large, rng)[0].clamp(0, 1),
        out / "12 megapixels.png",
    )
    yield _row(path, out, "A", "12 megapixels", None)


def _grain(images: Tensor, rng: torch.Generator) -> Tensor:
    """Add the strongest grain that is not to be removed: white, sigma 2.5 of 255."""
    return images + torch.randn(images.shape, generator=rng) * 2.5 / 255


def real(research: Path, out: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each real photo, with its truth if there is one.

    The labels are in `files.csv` beside the folder: A to D, ? for unknown, GT for a truth. A photo
    with real noise is there twice: as its JPEG file, and saved as PNG into `out`.
    """
    with (research.parent / "files.csv").open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["path"].startswith("research/")]
    for row in listed:
        path, group, label = research.parent / row["path"], row["group"], row["suggested_label"][0]
        if label == "G":
            continue
        if group == NOISE:
            yield from _real_noise(path, out, label)
            continue
        photos, truths = TRUTHS.get(group, ("", ""))
        truth = None
        if path.parent.name == photos:
            named = f"{path.stem.split('_x')[0]}[._]*"
            truth = next((path.parent.parent / truths).glob(named), None)
        elif label == "D":
            truth, group = path, f"good {group}"
        yield _row(path, out, label, group, truth)


def _real_noise(path: Path, out: Path, label: str) -> Iterator[dict[str, str]]:
    """Yield the rows of `CAMERA_…_real.JPG`, whose truth is `CAMERA_…_mean.JPG`."""
    truth = path.with_name(path.name.replace("_real.", "_mean."))
    camera = path.name.split("_")[0]
    resaved = out / NOISE_AS_PNG / f"{path.stem}.png"
    resaved.parent.mkdir(parents=True, exist_ok=True)
    with Pictures.open(path) as file:
        file.convert("RGB").save(resaved)
    yield _row(path, out, label, NOISE, truth, camera)
    yield _row(resaved, out, label, NOISE_AS_PNG, truth, camera)


def good(folders: Sequence[Path], out: Path) -> Iterator[dict[str, str]]:
    """Yield a row for each held-out good photo, which is its own truth."""
    for folder in folders:
        for path in sorted(folder.resolve().rglob("*")):
            if path.suffix.lower() in photo_pool.SUFFIXES and photo_pool.is_held_out(path):
                yield _row(path, out, "D", f"good {folder.name}", path)


def main() -> None:
    """Write both manifests and the photos of the synthetic one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument("--research", type=Path, help="a folder of real pairs")
    parser.add_argument("--good", type=Path, nargs="*", default=[], help="folders of good photos")
    parser.add_argument("--out", type=Path, default=Path("out/testset"))
    parser.add_argument("--count", type=int, default=COUNT, help="photos of each group")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tiles = photo_pool.load([arguments.photos]).held_out
    _write(out / "synthetic.csv", synthetic(tiles, out, arguments.count))
    found = real(arguments.research.resolve(), out) if arguments.research else ()
    _write(out / "real.csv", chain(good(arguments.good, out), found))


def _write(manifest: Path, rows: Iterable[dict[str, str]]) -> None:
    with manifest.open("w", newline="") as file:
        written = csv.DictWriter(file, (*COLUMNS, CAMERA))
        written.writeheader()
        written.writerows(rows)
    print(manifest)


def _row(
    path: Path, out: Path, label: str, group: str, truth: Path | None, camera: str = ""
) -> dict[str, str]:
    named = ["" if each is None else str(each) for each in (_from(path, out), _from(truth, out))]
    found = {"path": named[0], "label": label, "truth": named[1], "group": group}
    return found | {CAMERA: camera}


def _from(path: Path | None, out: Path) -> Path | None:
    return path.relative_to(out) if path is not None and path.is_relative_to(out) else path


def _cut(images: Tensor) -> Tensor:
    half = degradations.MARGIN // 2
    return images[..., half : half + SIDE, half : half + SIDE]


def _save(image: Tensor, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
    return path


def _as_light(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(images**GAMMA).clamp(0, 1) ** (1 / GAMMA)


def _between(count: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=rng)


if __name__ == "__main__":
    main()
