"""A short run with random kills; `make chaos` does a long one."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chaos import run, show

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.mark.timeout(1200)
def test_random_kills_lose_duplicate_and_damage_nothing(tmp_path):
    result = run(tmp_path, photos=60, kills=25, hits=8, seed=SEED)
    show(result)
    if result.damage:
        print((tmp_path / "log").read_text(errors="replace")[-8000:])
    assert result.photos >= 60
    assert result.damage == 0
