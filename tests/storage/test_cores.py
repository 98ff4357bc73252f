"""The cores of a container are those that its control groups leave it."""

import os
from pathlib import Path

import pytest

from storage import cores
from storage.settings import Settings, make

SECOND, FIRST = "cpu.max", ("cpu.cfs_quota_us", "cpu.cfs_period_us")


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def machine(root: Path, groups: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("-", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "number"),
    [
        ("0::/", {}, 8),
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/a/b", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
        ("0::/system.slice/docker-1.scope", {"cpu.max": "10000 100000"}, 1),
        ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("0::/", {"cpu.max": "nonsense"}, 8),
    ],
)  # fmt: skip
def test_the_limit_of_a_control_group_counts(tmp_path, groups, files, number):
    root = machine(tmp_path, groups, **files)
    assert cores.count(root) == number


def test_the_number_of_workers_follows_the_cores_and_their_share(monkeypatch, tmp_path):
    root = machine(tmp_path, "0::/", **{"cpu.max": "600000 100000"})
    real = cores.share
    monkeypatch.setattr(cores, "share", lambda part: real(part, root))
    assert Settings().worker_count == 3
    for share, workers in ((0.75, 2), (0.34, 1), (0.01, 1)):
        assert make({"give_way": {"cores_share": share}}, "x").worker_count == workers
