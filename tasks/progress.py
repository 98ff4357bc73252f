"""Report how many tiles of a photo a network has done, so that a slow step is not taken for a hang."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far the present network is with a photo."""

    done: int
    tiles: int
    tile_seconds: float
    """Mean time of a tile that is done."""


@dataclass(eq=False)
class _Level:
    """A loop over tiles; the tiles of one may be cut into those of another network."""

    tiles: int
    done: int = 0
    has_inner: bool = False
    """Whether another loop ran inside, whose last tile was reported already."""
    began_at: float = field(default_factory=time.monotonic)


_levels: list[_Level] = []
_listeners: list[Callable[[Progress], None]] = []


@contextmanager
def reported(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Call `listener` after each tile that is done inside the `with`, by networks of this thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def of(tiles: int) -> Iterator[Callable[[int], None]]:
    """Count tiles inside the `with`; call what it gives with the number of tiles that are done more."""
    level = _Level(tiles)
    if _levels:
        _levels[-1].has_inner = True
    _levels.append(level)

    def count(more: int) -> None:
        level.done += more
        for listener in () if level.has_inner else _listeners:
            listener(_now())

    try:
        yield count
    finally:
        _levels.remove(level)


def _now() -> Progress:
    """Return the progress of all loops together; the inner ones begin again for each outer tile."""
    done, tiles = 0, 1
    for level in _levels:
        done, tiles = done * level.tiles + level.done, tiles * level.tiles
    return Progress(done, tiles, (time.monotonic() - _levels[0].began_at) / max(done, 1))
