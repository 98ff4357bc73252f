"""A short campaign of random kills; `make chaos` runs a long one."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chaos import campaign, show

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.mark.timeout(1200)
def test_random_kills_lose_double_and_harm_nothing(tmp_path):
    result = campaign(tmp_path, photos=60, kills=25, hits=8, seed=SEED)
    show(result)
    if result.harm:
        print((tmp_path / "log").read_text(errors="replace")[-8000:])
    assert result.photos >= 60
    assert result.harm == 0
