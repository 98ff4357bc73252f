"""The engine of the benchmarks stands in for the real one: it must still take all steps of a job."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import bench_workers


@pytest.mark.slow
def test_the_engine_of_the_benchmarks_takes_both_steps_of_a_job(monkeypatch):
    monkeypatch.setattr(bench_workers, "JOBS", 4)
    assert bench_workers._photomend(1, None) > 0
