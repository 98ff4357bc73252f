"""Print measurements of good photos, and of the same photos degraded by known amounts.

`python -m tasks.training.calibrate FOLDER [EVERY]` reads every EVERYth photo of a folder of good
ones.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from storage.enums import Category, Degradation
from storage.photos import Image
from tasks.imaging import degrade
from tasks.imaging.evidence import Evidence, measure
from tasks.lite.classifier import Lite, logits

SHARES = (0, 2, 50, 98, 100)
"""The percentiles that are printed."""

Logits = Mapping[Degradation, float]
"""The classifier net's logits."""
FIGURES: Mapping[str, Callable[[Logits, Evidence], float]] = {
    "noise logit": lambda values, _: values[Degradation.NOISE],
    "softness logit": lambda values, _: values[Degradation.SOFTNESS],
    "motion logit": lambda values, _: values[Degradation.MOTION],
    "step": lambda _, evidence: evidence.blockiness[0],
    "relative step": lambda _, evidence: evidence.blockiness[1],
    "softness": lambda _, evidence: evidence.edge_sigma,
    "movement": lambda _, evidence: evidence.movement.depth,
    "moved edges": lambda _, evidence: evidence.movement_sigma,
    "ghost": lambda _, evidence: evidence.ghost.depth,
}

Degrade = Callable[[Image, np.random.Generator], Image]
DEGRADED: Mapping[str, Degrade] = {
    "good": lambda image, rng: image,
    "noise 10": lambda image, rng: degrade.noisy(image, 10, rng),
    "noise 20": lambda image, rng: degrade.noisy(image, 20, rng),
    "JPEG 25": lambda image, rng: degrade.compressed(image, 25),
    "JPEG 10": lambda image, rng: degrade.compressed(image, 10),
    "soft 2": lambda image, rng: degrade.softened(image, 2),
    "soft 3": lambda image, rng: degrade.softened(image, 3),
    "moved 15": lambda image, rng: degrade.moved(image, 15, rng.uniform(0, 180)),
    "moved 25": lambda image, rng: degrade.moved(image, 25, rng.uniform(0, 180)),
    "ghost 0.35": lambda image, rng: degrade.ghosted(image, (9, 5), 0.35),
    "ghost 0.6": lambda image, rng: degrade.ghosted(image, (-4, 14), 0.6),
}


def photos(folder: Path, every: int) -> Iterator[Image]:
    """Read every `every`th photo below a folder, as images."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file())[::every]:
        with Pictures.open(path) as picture:
            yield np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)


def main(folder: Path, every: int) -> None:
    """Print the measurements and verdicts for each degradation."""
    classify = Lite()
    for name, apply in DEGRADED.items():
        rng = np.random.default_rng(0)
        images = [_as_saved(apply(image, rng)) for image in photos(folder, every)]
        measured = [(logits(image), measure(image)) for image in images]
        print(f"\n{name}: {len(images)} photos")
        for figure, read in FIGURES.items():
            _print(figure, [read(*each) for each in measured])
        verdicts = [classify(image) for image in images]
        for category in Category:
            sure = [verdict.confident and verdict.category is category for verdict in verdicts]
            print(f"  {category.value:>16}: {sum(sure)}")


def _print(name: str, figures: list[float]) -> None:
    spread = list(np.percentile(figures, SHARES)) if figures else []
    print(f"  {name:>16}:", *(f"{figure:8.3f}" for figure in spread))


def _as_saved(image: Image) -> Image:
    return (np.rint(image * 255) / 255).astype(np.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
