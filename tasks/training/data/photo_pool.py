"""The clean photos that everything is made from, held in memory and split by source photo."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch import Tensor

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})
SIDE = 512
"""Pixels of a tile; photos are cut into as many as fit."""
SMALL = 320
"""Pixels of the shorter side of the smallest photo that is kept whole."""
HELD_OUT = 10
"""Every so many source photos are never trained on."""


@dataclass(frozen=True)
class Pool:
    """Tiles of clean photos, uint8, (N, 3, SIDE, SIDE), RGB."""

    fitted: Tensor
    held_out: Tensor

    def with_also(self, other: "Pool") -> "Pool":
        """Return both pools' tiles."""
        return Pool(
            torch.cat([self.fitted, other.fitted]), torch.cat([self.held_out, other.held_out])
        )


def load(folders: Sequence[Path], most_of_each: int | None = None) -> Pool:
    """Read all photos below folders that are at least one tile large, as all their tiles or a few.

    Raises:
        SystemExit: there are too few.

    """
    tiles: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in photos_of(folders):
        tiles[is_held_out(path)].extend(islice(_tiles(path), most_of_each))
    return _pool(tiles, folders, SIDE)


def squares(folders: Sequence[Path]) -> Pool:
    """Read whole photos, their shorter side made `SIDE` pixels: their squares from end to end.

    Raises:
        SystemExit: there are too few.

    """
    cut: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in photos_of(folders):
        with Pictures.open(path) as picture:
            if min(picture.size) < SMALL:
                continue
            factor = SIDE / min(picture.size)
            size = [round(factor * side) for side in picture.size]
            how = Pictures.Resampling.BOX if factor < 1 else Pictures.Resampling.BICUBIC
            pixels = np.asarray(picture.convert("RGB").resize(size, how))
        height, width = pixels.shape[:2]
        for at in np.linspace(0, max(height, width) - SIDE, round(max(height, width) / SIDE)):
            top, left = (int(at), 0) if height > width else (0, int(at))
            cut[is_held_out(path)].append(_planes(pixels[top : top + SIDE, left : left + SIDE]))
    return _pool(cut, folders, SMALL)


def is_held_out(path: Path) -> bool:
    """Return whether a photo is kept for evaluation, with all tiles of the same source."""
    return hashlib.sha256(source_of(path).encode()).digest()[0] % HELD_OUT == 0


def source_of(path: Path) -> str:
    """Return what the tiles of one photo share of their names: `beach__7` of `beach__7_s0.5_0_512`."""
    return path.stem.rpartition("_s")[0] or path.stem


def photos_of(folders: Sequence[Path]) -> list[Path]:
    """Return all photos below folders, in order."""
    every = (path for folder in folders for path in folder.rglob("*"))
    return sorted(path for path in every if path.suffix.lower() in SUFFIXES)


def _pool(split: tuple[list[Tensor], list[Tensor]], folders: Sequence[Path], side: int) -> Pool:
    if not all(split):
        named = ", ".join(map(str, folders))
        raise SystemExit(f"{named}: too few photos of {side} pixels a side and more")
    return Pool(torch.stack(split[0]), torch.stack(split[1]))


def _tiles(path: Path) -> Iterator[Tensor]:
    with Pictures.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for top in range(0, pixels.shape[0] - SIDE + 1, SIDE):
        for left in range(0, pixels.shape[1] - SIDE + 1, SIDE):
            yield _planes(pixels[top : top + SIDE, left : left + SIDE])


def _planes(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
