"""Tiles are counted over nested loops, also after an error."""

import pytest

from tasks import progress


def test_tiles_within_tiles_are_counted_together():
    seen = []
    with progress.reported(seen.append), progress.of(2) as outer:
        for _ in range(2):
            with progress.of(3) as inner:
                inner(2)
                inner(1)
            outer(1)
    assert [(each.done, each.tiles) for each in seen] == [
        (2, 6), (3, 6), (5, 6), (6, 6),
    ]  # fmt: skip
    assert all(each.tile_seconds >= 0 for each in seen)


def test_after_an_error_nothing_is_left_of_its_loops():
    seen = []
    with pytest.raises(MemoryError), progress.of(7), progress.of(7):
        raise MemoryError
    with progress.reported(seen.append), progress.of(4) as count:
        count(1)
    with progress.of(4) as count:
        count(1)  # nobody listens
    assert [(each.done, each.tiles) for each in seen] == [(1, 4)]
