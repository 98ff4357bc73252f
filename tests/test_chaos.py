"""A short run with random kills and disturbances; `make chaos` does a long one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SEED = os.environ.get("CHAOS_SEED", "20261124")


@pytest.mark.timeout(1200)
def test_random_kills_and_disturbances_lose_duplicate_and_damage_nothing(tmp_path):
    chaos = [sys.executable, Path(__file__).with_name("chaos.py"), "--seed", SEED]
    few = ["--photos", "20", "--kills", "10", "--hits", "4"]
    ended = subprocess.run(
        [*chaos, *few], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    print(ended.stdout, ended.stderr)
    assert ended.returncode == 0
