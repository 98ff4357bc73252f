"""The photos that nets are fitted to, held in memory and split by source photo."""

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
"""Pixels of the side of a tile; a photo is cut into as many as fit."""
MIN_SIDE = 320
"""Pixels of the shorter side of the smallest photo that `squares` takes."""
HELD_OUT_EVERY = 10
"""One in so many source photos is held out."""
TILES_PER_GOOD_PHOTO = 6
"""Most tiles of one good photo, so that large ones do not outnumber the clean tiles."""


@dataclass(frozen=True)
class Pool:
    """Tiles of photos, uint8, (N, 3, SIDE, SIDE), RGB."""

    fitted: Tensor
    held_out: Tensor


def load(folders: Sequence[Path], max_tiles: int | None = None) -> Pool:
    """Read the photos below folders as tiles, at most `max_tiles` of each photo.

    Raises:
        SystemExit: there are too few photos of at least one tile.

    """
    tiles: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in photos_of(folders):
        tiles[is_held_out(path)].extend(islice(_tiles(path), max_tiles))
    return _pool(tiles, folders, SIDE)


def with_good(clean: Sequence[Path], good: Sequence[Path]) -> Pool:
    """Read folders of clean photos, and at most `TILES_PER_GOOD_PHOTO` tiles of each good photo.

    Raises:
        SystemExit: there are too few photos.

    """
    pool = load(clean)
    if not good:
        return pool
    other = load(good, TILES_PER_GOOD_PHOTO)
    return Pool(torch.cat([pool.fitted, other.fitted]), torch.cat([pool.held_out, other.held_out]))


def squares(folders: Sequence[Path]) -> Pool:
    """Read whole photos, resized to a shorter side of `SIDE` pixels, as squares that cover them.

    Raises:
        SystemExit: there are too few photos.

    """
    cut: tuple[list[Tensor], list[Tensor]] = ([], [])
    for path in photos_of(folders):
        with Pictures.open(path) as picture:
            if min(picture.size) < MIN_SIDE:
                continue
            factor = SIDE / min(picture.size)
            size = [round(factor * side) for side in picture.size]
            how = Pictures.Resampling.BOX if factor < 1 else Pictures.Resampling.BICUBIC
            pixels = np.asarray(picture.convert("RGB").resize(size, how))
        height, width = pixels.shape[:2]
        for at in np.linspace(0, max(height, width) - SIDE, round(max(height, width) / SIDE)):
            top, left = (int(at), 0) if height > width else (0, int(at))
            cut[is_held_out(path)].append(_planes(pixels[top : top + SIDE, left : left + SIDE]))
    return _pool(cut, folders, MIN_SIDE)


def is_held_out(path: Path) -> bool:
    """Return whether a photo, with all tiles of its source, is held out for evaluation."""
    return hashlib.sha256(source_of(path).encode()).digest()[0] % HELD_OUT_EVERY == 0


def source_of(path: Path) -> str:
    """Return the common name of a photo's tiles: `beach__7` of `beach__7_s0.5_0_512`."""
    return path.stem.rpartition("_s")[0] or path.stem


def photos_of(folders: Sequence[Path]) -> list[Path]:
    """Return all photos below folders, sorted by path."""
    every = (path for folder in folders for path in folder.rglob("*"))
    return sorted(path for path in every if path.suffix.lower() in SUFFIXES)


def _pool(split: tuple[list[Tensor], list[Tensor]], folders: Sequence[Path], side: int) -> Pool:
    if not all(split):
        named = ", ".join(map(str, folders))
        raise SystemExit(f"{named}: too few photos of at least {side} by {side} pixels")
    return Pool(torch.stack(split[0]), torch.stack(split[1]))


def _tiles(path: Path) -> Iterator[Tensor]:
    with Pictures.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for top in range(0, pixels.shape[0] - SIDE + 1, SIDE):
        for left in range(0, pixels.shape[1] - SIDE + 1, SIDE):
            yield _planes(pixels[top : top + SIDE, left : left + SIDE])


def _planes(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
