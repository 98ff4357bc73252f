"""Compare made noise with real noise: `python -m tasks.training.noise_sheet --pairs FOLDER`.

The folder holds real pairs: `X_real.JPG` with noise and `X_mean.JPG` without. Made noise of equal
strength comes from the recipe of the net against noise, and for comparison from white noise. The
sheet shows the noise, its spectra and its auto-correlations; the distances are printed.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont
from torch import Tensor

from tasks.training.data import degradations, photo_pool
from tasks.training.data.camera import Camera
from tasks.training.data.compression import TO_YCBCR, jpeg
from tasks.training.objectives import SEED

SIDE = 256
"""Side in pixels of the parts whose noise is measured."""
LAGS = 12
"""Most pixels between two pixels whose noise is correlated."""
BINS = 24
"""Rings of frequencies of a spectrum."""
QUALITY = 75.0
"""JPEG quality of the made photos; that of the real pairs."""
STRENGTHS = (1.5, 7.0)
"""Smallest and largest deviation of the noise, of 255, that is compared: that of the real pairs."""

Curve = NDArray[np.float64]
Make = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class NoiseSample:
    """What describes the noise of one photo."""

    pixels: NDArray[np.float32]
    """(3, SIDE, SIDE): brightness and both colour differences, of 255."""
    correlations: Curve
    """Of pixels 1 to LAGS apart, (2, LAGS): of the brightness and of the colours."""
    spectra: Curve
    """Logarithms of the power in rings of frequency, relative to the whole, (2, BINS)."""
    colour_share: float
    """Deviation of the colours by that of the brightness."""


def described(difference: Tensor) -> NoiseSample:
    """Describe the difference (3, H, W) of a noisy and a clean photo, RGB in [0, 1]."""
    turn = torch.tensor(TO_YCBCR)
    planes = torch.einsum("dc,chw->dhw", turn, 255 * difference[:, :SIDE, :SIDE]).numpy()
    planes = planes - planes.mean((1, 2), keepdims=True)
    groups = (planes[:1], planes[1:])
    strengths = [float(np.sqrt(np.square(group).mean())) for group in groups]
    return NoiseSample(
        planes,
        np.stack([_correlations(group) for group in groups]),
        np.stack([_spectrum(group) for group in groups]),
        strengths[1] / max(strengths[0], 1e-6),
    )


def distance(some: Sequence[NoiseSample], others: Sequence[NoiseSample]) -> dict[str, float]:
    """Return the mean differences of the means of two groups of noise."""
    means = [
        (np.mean([n.correlations for n in group], 0), np.mean([n.spectra for n in group], 0),
         float(np.mean([n.colour_share for n in group])))
        for group in (some, others)
    ]  # fmt: skip
    return {
        "auto-correlation of the brightness": float(np.abs(means[0][0] - means[1][0])[0].mean()),
        "auto-correlation of the colours": float(np.abs(means[0][0] - means[1][0])[1].mean()),
        "spectrum (decades)": float(np.abs(means[0][1] - means[1][1]).mean()),
        "share of the colours": abs(means[0][2] - means[1][2]),
    }


def real(folder: Path) -> Iterable[NoiseSample]:
    """Read the noise of real pairs."""
    for path in sorted(folder.glob("*_real.*")):
        yield described(_read(path) - _read(path.with_name(path.name.replace("_real", "_mean"))))


def by_camera(tiles: Tensor, count: int, rng: torch.Generator) -> Iterable[NoiseSample]:
    """Make the noise of cameras, of the strengths of the real pairs."""
    return _made(tiles, count, rng, lambda images: _taken(images, rng))


def white(tiles: Tensor, count: int, rng: torch.Generator) -> Iterable[NoiseSample]:
    """Make white noise of the same strengths."""
    return _made(
        tiles, count, rng,
        lambda images: (images + torch.randn(images.shape, generator=rng) * 4 / 255, images),
    )  # fmt: skip


def _taken(images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    is_noisy = torch.ones((len(images), 1, 1, 1), dtype=torch.bool)
    return Camera.draw(images, is_noisy, rng).noisy_and_clean(images, rng)


def _made(tiles: Tensor, count: int, rng: torch.Generator, make: Make) -> Iterable[NoiseSample]:
    found = 0
    while found < count:
        noisy, clean = make(degradations.crops(tiles, 2, SIDE, rng))
        compressed = jpeg(noisy.clamp(0, 1), torch.full((2,), QUALITY), rng)
        for noise in map(described, compressed - clean):
            if STRENGTHS[0] <= noise.pixels[0].std() <= STRENGTHS[1] and found < count:
                found += 1
                yield noise


def _correlations(planes: NDArray[np.float32]) -> Curve:
    power = np.square(planes).mean()
    both = [
        [(planes[..., lag:] * planes[..., :-lag]).mean() for lag in range(1, LAGS + 1)],
        [(planes[:, lag:] * planes[:, :-lag]).mean() for lag in range(1, LAGS + 1)],
    ]
    return np.asarray(np.mean(both, 0) / power, np.float64)


def _spectrum(planes: NDArray[np.float32]) -> Curve:
    window = np.hanning(planes.shape[1])[:, None] * np.hanning(planes.shape[2])
    power = np.square(np.abs(np.fft.fft2(planes * window))).mean(0)
    radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, power.shape), indexing="ij"))
    ring = np.minimum((radius * 2 * BINS).astype(int), BINS)
    sums, counts = (np.bincount(ring.ravel(), w, BINS + 1) for w in (power.ravel(), None))
    return np.asarray(np.log10(sums[:BINS] / counts[:BINS] / power.mean()), np.float64)


def _read(path: Path) -> Tensor:
    with Pictures.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def draw(groups: dict[str, Sequence[NoiseSample]], file: Path) -> None:
    """Draw one row for each group: its noise eight times as strong, and its mean curves."""
    cell, shown = 200, 5
    sheet = Pictures.new("RGB", ((shown + 2) * cell, len(groups) * (cell + 20)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, (name, noises) in enumerate(groups.items()):
        top = row * (cell + 20)
        pen.text((4, top + 2), f"{name}: noise; auto-correlations; spectra", "black", font)
        for column, noise in enumerate(noises[:shown]):
            pixels = np.clip(128 + 8 * noise.pixels[:, :cell, :cell].transpose(1, 2, 0), 0, 255)
            picture = Pictures.fromarray(pixels.astype(np.uint8), "YCbCr").convert("RGB")
            sheet.paste(picture, (column * cell, top + 20))
        curves = [
            np.mean([n.correlations for n in noises], 0),
            np.mean([n.spectra for n in noises], 0),
        ]
        for at, (curve, low, high) in enumerate(zip(curves, (-0.2, -2.5), (1.0, 2.0), strict=True)):
            left = (shown + at) * cell
            pen.rectangle([left, top + 20, left + cell - 2, top + 18 + cell], outline="lightgrey")
            for line, colour in zip(curve, ("black", "firebrick"), strict=True):
                y = top + 20 + cell * (1 - (np.clip(line, low, high) - low) / (high - low))
                x = left + np.linspace(4, cell - 6, len(line))
                pen.line(list(zip(x, y, strict=True)), colour, 2)
    sheet.save(file)


def main() -> None:
    """Read the command line, print the distances and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="a folder of real pairs")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of clean photos")
    parser.add_argument("--out", type=Path, default=Path("out/noise.png"))
    arguments = parser.parse_args()
    tiles, rng = photo_pool.load([arguments.photos]).held_out, torch.Generator().manual_seed(SEED)
    groups: dict[str, Sequence[NoiseSample]] = {"real": list(real(arguments.pairs))}
    groups["by a camera"] = list(by_camera(tiles, 40, rng))
    groups["white"] = list(white(tiles, 40, rng))
    for name in ("by a camera", "white"):
        for what, value in distance(groups["real"], groups[name]).items():
            print(f"{name}: {what} differs by {value:.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(groups, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
