"""The wheel works outside the checkout, beside others that have packages of the same names."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from storage.enums import Degradation

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
PYTHON_DAEMON = "python-daemon==3.1.2"
"""It owns the name `daemon` on the package index."""


def uv(*words: str | Path, **environment: str) -> str:
    """Run the uv with which `make` installs; its cache holds what photomend needs."""
    if not (ROOT / ".boot/uv").exists():
        pytest.skip("there is no uv in .boot (make .boot/ready)")
    ran = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *words], cwd=ROOT, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": str(ROOT / ".boot")} | environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the versions of uv.lock as constraints."""
    file = tmp_path_factory.mktemp("locked") / "constraints.txt"
    uv(
        "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate",
        "--output-file", file,
    )  # fmt: skip
    return file


@pytest.fixture(scope="module")
def environment(wheel: Path, locked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and python-daemon in an environment of their own."""
    folder = tmp_path_factory.mktemp("venv") / "venv"
    uv("venv", "--python", sys.executable, folder)
    uv("pip", "install", "--python", folder, "-c", locked, wheel, PYTHON_DAEMON)
    return folder


@pytest.fixture
def run(environment: Path, tmp_path: Path):
    """Run a program of the environment, which finds no other program and no settings."""

    def run(program: str, *words: str | Path, code: int = 0, **variables: str) -> str:
        ran = subprocess.run(
            [environment / "bin" / program, *words], cwd=tmp_path, capture_output=True, text=True,
            check=False,
            env={"PATH": str(environment / "bin"), "HOME": str(tmp_path), "TERM": "dumb"} | variables,
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


def site_packages(environment: Path) -> Path:
    [folder] = environment.glob("lib/python3*/site-packages")
    return folder


def test_the_wheel_owns_one_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name.split("-")[0] for name in names} == {"photomend"}


def test_the_man_page_and_completion_come_with_it(run, environment):
    assert (environment / "share/man/man1/photomend.1").read_text().startswith(".TH PHOTOMEND 1")
    words = {"COMP_WORDS": "photomend ser", "COMP_CWORD": "1"}
    assert run("photomend", _PHOTOMEND_COMPLETE="complete_bash", **words) == "service\n"


def test_the_sdist_makes_the_wheel_of_the_checkout(built, wheel, tmp_path):
    uv("build", "--wheel", "--out-dir", tmp_path)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_photos_are_mended_without_a_redis_of_the_system(run, tmp_path, degraded_photo):
    (tmp_path / "Photos").mkdir()
    for kind in (Degradation.NOISE, Degradation.SOFTNESS):
        shutil.copy(degraded_photo(kind), tmp_path / "Photos")

    run("photomend", "up", "Photos", "--once")

    names = {path.name for path in (tmp_path / "Photos").iterdir()}
    assert {path.name for path in (tmp_path / "Photos-mended").glob("*.jpg")} == names
    assert "libraries" not in run("photomend", "status", "--check", code=1)


def test_doctor_finds_all_libraries(run):
    assert "all that a worker needs can be imported" in run("photomend", "doctor", code=1)


def test_the_units_are_made_for_this_installation(run, environment):
    with tempfile.TemporaryDirectory(prefix="pm") as home:  # a short name, for the path of a socket
        shown = run("photomend", "service", "install", "--user", "--dry-run", HOME=home)
    assert f"\nExecStart={environment}/bin/photomend watch\n" in shown
    assert "/valkey-server --port 0" in shown


def test_the_other_daemon_stays_that_of_the_environment(run, environment):
    code = "import daemon, importlib.util as u; print(daemon.DaemonContext, u.find_spec('tasks'))"
    assert "daemon.daemon.DaemonContext'> None" in run("python", "-c", code)


def test_a_module_is_found_though_another_stands_before_it(run, tmp_path):
    (tmp_path / "tasks.py").write_text("raise SystemExit('the wrong one')")
    code = (
        "import photomend; photomend.use_own_packages(); import tasks.worker.app as a; print(a.app)"
    )
    assert "<Celery photomend" in run("python", "-c", code)
    assert "<Celery photomend" in run("python", "-c", "import photomend; print(photomend.app)")


def test_another_package_of_the_same_name_is_refused(run):
    code = "import daemon, photomend; photomend.main()"
    shown = run("python", "-c", code, code=1)
    assert shown.startswith("photomend: the Python package daemon is not photomend's own, but /")
    assert shown.count("\n") == 1
    assert "install photomend in an environment of its own" in shown


def test_nothing_is_left_when_it_is_uninstalled(wheel, locked, environment, tmp_path):
    other = tmp_path / "venv"
    shutil.copytree(environment, other, symlinks=True)
    uv("pip", "uninstall", "--python", other, "photomend")
    assert not [path for path in other.rglob("*") if "photomend" in path.name]
    assert (site_packages(other) / "daemon/__init__.py").exists()


def test_photos_wait_when_it_is_uninstalled_while_it_runs(
    environment, tmp_path, degraded_photo, eventually
):
    other, home = tmp_path / "venv", tmp_path / "home"
    shutil.copytree(environment, other, symlinks=True)
    (home / "Photos").mkdir(parents=True)
    first, second = map(degraded_photo, (Degradation.NOISE, Degradation.SOFTNESS))
    shutil.copy(first, home / "Photos")
    given = {"PATH": str(other / "bin"), "HOME": str(home), "PHOTOMEND_RETRY_PAUSE_SECONDS": "0.1"}
    command = [other / "bin/python", "-m", "photomend", "up", home / "Photos", "--backlog", "all"]
    running = subprocess.Popen([*command, "--no-web"], env=given)
    try:
        eventually((home / "Photos-mended" / first.name).exists)
        uv("pip", "uninstall", "--python", other, "photomend")
        shutil.copy(second, home / "Photos")
        database = sqlite3.connect(home / ".local/state/photomend/jobs.db")
        asked = "SELECT status, attempts, error FROM jobs WHERE error IS NOT NULL"
        eventually(lambda: database.execute(asked).fetchall())
        [(status, attempts, error)] = database.execute(asked)
    finally:
        running.terminate()
        running.wait(60)
    assert (status, attempts) == ("queued", 0)
    assert "was updated or removed while it ran" in error


def test_uv_installs_it_as_a_tool(wheel, locked, tmp_path):
    folders = {f"UV_TOOL_{name}": str(tmp_path / name) for name in ("DIR", "BIN_DIR")}
    uv("tool", "install", "--python", sys.executable, "-c", locked, wheel, **folders)
    command = [tmp_path / "BIN_DIR/photomend", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout.startswith("photomend ")
