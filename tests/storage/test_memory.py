"""A process takes only its share of the memory of this machine, or of its control group."""

import subprocess
import sys
from pathlib import Path

import pytest

from storage import memory
from storage.formats.safe_open import MEGA, Limits
from storage.settings import settings

GROUPS = {
    "the second version": ("0::/a/b", {"a/memory.max": "2000000000", "a/b/memory.max": "max"}),
    "the second version in a container": ("0::/", {"memory.max": "2000000000"}),
    "the first version": (
        "3:cpu:/\n4:memory:/a/b",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/a/memory.limit_in_bytes": "2000000000",
        },
    ),
    "another place than in the container": (
        "0::/system.slice/docker-1.scope",
        {"memory.max": "2000000000"},
    ),
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with what the kernel says of a machine of 4 GB."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:        4000000 kB\nMemFree: 7 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("")
    return tmp_path


def test_the_share_is_seven_eighths_of_the_machine(machine: Path) -> None:
    assert memory.share_megabytes(machine) == 3584


@pytest.mark.parametrize("name", GROUPS)
def test_the_share_respects_control_groups(machine: Path, name: str) -> None:
    place, files = GROUPS[name]
    (machine / "proc/self/cgroup").write_text(place + "\n")
    for file, text in files.items():
        path = machine / "sys/fs/cgroup" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    assert memory.share_megabytes(machine) == 1750


def test_this_machine_has_a_share() -> None:
    assert 256 < memory.share_megabytes() < 10_000_000


def limited(program: str) -> str:
    """Run a program in a process with 300 MB; return what it prints."""
    prelude = "from storage import memory\nmemory.limit(300)\n"
    command = [sys.executable, "-c", prelude + program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_beyond_its_limit_a_process_gets_no_memory() -> None:
    assert limited("len(bytes(200_000_000)); print('fits')") == "fits"
    program = "try: bytearray(400_000_000)\nexcept MemoryError: print('refused')"
    assert limited(program) == "refused"


def test_what_is_only_mapped_from_a_file_does_not_count(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    with weights.open("wb") as file:
        file.truncate(1_000_000_000)
    program = f"""
import mmap
with open({str(weights)!r}, "rb") as file:
    print(len(mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)))
"""
    assert limited(program) == "1000000000"


def test_a_lower_limit_stays() -> None:
    program = "memory.limit(900)\nimport resource; print(resource.getrlimit(resource.RLIMIT_DATA))"
    assert limited(program) == "(300000000, 300000000)"


@pytest.mark.parametrize(("megabytes", "most"), [(2000, 15), (900, 1), (100_000, 200)])
def test_the_largest_photo_fits_into_the_memory(
    home: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, most: int
) -> None:
    monkeypatch.setenv("PHOTOMEND_MAX_MEMORY_MEGABYTES", str(megabytes))
    settings.cache_clear()
    assert Limits.of(settings()).max_pixels == most * MEGA

    monkeypatch.setenv("PHOTOMEND_MAX_MEGAPIXELS", "50")
    settings.cache_clear()
    assert Limits.of(settings()).max_pixels == 50 * MEGA
