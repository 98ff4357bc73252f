"""A large image is restored by two tiles at once."""

from threading import Barrier

import numpy as np

from tasks.imaging.tiles import TILE_PIXELS, by_tiles


def test_two_tiles_are_restored_at_once():
    both_here = Barrier(2, timeout=20)

    def restore(tile):
        both_here.wait()
        return tile

    image = np.random.default_rng(0).random((16, 2 * TILE_PIXELS, 3), np.float32)
    assert np.array_equal(by_tiles(image, restore, 8), image)
