"""systemd accepts the units; they are hardened, and run while a share is away."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.jail import seccomp
from storage.telemetry import VARIABLES

UNITS = Path(__file__).parent.parent / "systemd"
WORKER = "photomend-worker@.service"
WATCHER = "photomend-watch.service"
REDIS = "photomend-redis.service"
PROGRAM = re.compile(r"(/opt/photomend/\.venv/bin/photomend|/usr/bin/redis-server)(?= )")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units to a folder, with programs that exist on this machine."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed here (apt install systemd)")
    for unit in UNITS.iterdir():
        (tmp_path / unit.name).write_text(PROGRAM.sub(sys.executable, unit.read_text()))
    return tmp_path


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", sorted(unit.name for unit in UNITS.glob("photomend*")))
def test_systemd_accepts_each_unit(units: Path, name: str) -> None:
    verified = analyze("verify", "--man=no", units / name)

    assert verified.returncode == 0, verified.stderr
    assert "photomend" not in verified.stderr


@pytest.mark.parametrize(("name", "maximum"), [(WATCHER, 3.0), (WORKER, 5.0)])
def test_units_are_hardened(units: Path, name: str, maximum: float) -> None:
    judged = analyze("security", "--offline=true", "--no-pager", units / name)

    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert exposure, judged.stdout + judged.stderr
    assert float(exposure[1]) <= maximum


@pytest.mark.parametrize("name", [WATCHER, WORKER, "photomend-redis.service"])
def test_a_unit_reaches_nothing_beyond_this_machine(units: Path, name: str) -> None:
    judged = analyze("security", "--offline=true", "--no-pager", units / name)

    [row] = [line for line in judged.stdout.splitlines() if "IPAddressDeny=" in line]
    assert re.search(r"only localhost entries|blocks all IP address ranges", row), row


def lines(name: str) -> list[str]:
    text = (UNITS / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", [WATCHER, WORKER])
def test_no_unit_stops_when_a_share_is_lost(name: str) -> None:
    binding = ("RequiresMountsFor=", "Requires=", "BindsTo=", "Requisite=")

    assert not [line for line in lines(name) if line.startswith(binding)]
    assert {"Restart=always", "RestartSec=5", "StartLimitIntervalSec=0"} <= set(lines(name))


def test_only_the_watcher_migrates_and_workers_start_after_it() -> None:
    migrations = [line for line in lines(WATCHER) if line.endswith("photomend migrate")]

    assert [line.partition("=")[0] for line in migrations] == ["ExecStartPre"]
    assert f"After={WATCHER}" in lines(WORKER)
    assert not [line for line in lines(WORKER) if line.endswith("migrate")]


def test_the_instance_names_the_queue_and_its_environment_file() -> None:
    assert "EnvironmentFile=-/etc/photomend/%i.env" in lines(WORKER)
    assert [line for line in lines(WORKER) if line.endswith("photomend work %i")]
    assert "CUDA_VISIBLE_DEVICES=0" in lines("classify.env")


@pytest.mark.parametrize("name", [WATCHER, WORKER])
def test_the_libraries_of_a_unit_send_no_telemetry(name: str) -> None:
    words = {f"{variable}={value}" for variable, value in VARIABLES.items()}
    given = {
        word for line in lines(name) if line.startswith("Environment=") for word in line.split()
    }

    assert words <= {word.removeprefix("Environment=") for word in given}


@pytest.mark.parametrize("name", [WATCHER, WORKER])
def test_no_unit_imports_modules_from_the_current_folder(name: str) -> None:
    assert "Environment=PYTHONSAFEPATH=1" in lines(name)


@pytest.mark.parametrize("name", [WATCHER, WORKER, REDIS])
def test_each_unit_has_a_ceiling_and_the_worker_is_the_first_to_be_ended(name: str) -> None:
    values = dict(line.split("=", 1) for line in lines(name) if "=" in line)

    assert {"MemoryHigh", "MemoryMax", "TasksMax"} <= values.keys()
    assert int(values["OOMScoreAdjust"]) == (500 if name == WORKER else 100)


def allowed(name: str) -> set[str]:
    """Return the system calls that a unit allows."""
    found: set[str] = set()
    for line in lines(name):
        if (words := line.removeprefix("SystemCallFilter=")) != line:
            calls = {call for word in words.removeprefix("~").split() for call in expanded(word)}
            found = found - calls if words.startswith("~") else found | calls
    return found


def expanded(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    listed = analyze("syscall-filter", word).stdout.splitlines()
    words = [line.strip() for line in listed if line.startswith("    ")]
    return {call for part in words if not part.startswith("#") for call in expanded(part)}


def test_the_unit_of_a_worker_lets_it_confine_the_process_that_decodes(units: Path) -> None:
    needed = {"landlock_create_ruleset", "landlock_restrict_self", "seccomp", "prctl"}

    assert needed | set(seccomp.NAMES) <= allowed(WORKER)
