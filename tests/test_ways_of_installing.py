"""Each way of installing that the documents name, in a Debian of its own, ends with mended photos.

An ordinary user installs, without libGL and without a Redis of the system. Then there is no network.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from storage import publishing
from storage.enums import Degradation
from tests import chroots
from tests.chroots import PATH, ROOT, Chroot

PACKAGES = "python3,python3-pip,python3-venv,pipx,make,git,ca-certificates,systemd"
OWNER = 1000
HOME = "/home/owner"
WAYS = {
    "pip": (
        "python3 -m venv ~/photomend && ~/photomend/bin/pip install --quiet $WHEEL",
        "~/photomend/bin/photomend",
    ),
    "uv tool": (
        "python3 -m venv ~/uv && ~/uv/bin/pip install --quiet uv && ~/uv/bin/uv tool install --quiet $WHEEL",
        "~/.local/bin/photomend",
    ),
    "pipx": ("pipx install $WHEEL", "~/.local/bin/photomend"),
    "checkout": (
        "cp -r /source ~/source && make -C ~/source service",
        "~/source/.venv/bin/photomend",
    ),
}
"""A shell's command that installs, and the program."""


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian with a user, the checkout in /source and its wheel in /wheel."""
    system = tmp_path_factory.mktemp("debian") / "system"
    chroots.make(system, PACKAGES)
    chroots.copy_checkout(system / "source")
    (system / "wheel").mkdir()
    build = [
        sys.executable,
        "-m",
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "--out-dir",
        system / "wheel",
    ]
    subprocess.run(
        build, cwd=ROOT, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / ".boot")}
    )
    subprocess.run(["chroot", system, "useradd", "-m", "-u", str(OWNER), "owner"], check=True)
    yield system
    shutil.rmtree(system, ignore_errors=True)


@pytest.fixture
def system(debian: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it that nobody else uses."""
    copied = tmp_path / "system"
    subprocess.run(["cp", "-a", "--reflink=auto", debian, copied], check=True)
    yield copied
    shutil.rmtree(copied, ignore_errors=True)


@pytest.fixture
def shell(system: Path):
    """Run a command of the shell in the system; return what it printed."""

    def run(line: str, *, network: bool = False, user: int = OWNER, code: int = 0) -> str:
        [wheel] = (system / "wheel").glob("*.whl")
        given = {
            "PATH": PATH, "HOME": HOME if user else "/root", "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": "/tmp",
            "WHEEL": f"/wheel/{wheel.name}",
        }  # fmt: skip
        chroot = Chroot(system, {}, network=network, writable=True)
        try:
            command = chroot.command(
                ["sh", "-ec", line], given | chroots.certificate_variables(), f"{user}:{user}"
            )
            ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        finally:
            chroot.stop()
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


@chroots.needed
@pytest.mark.parametrize("way", WAYS)
def test_a_fresh_machine_mends_photos(way: str, system: Path, shell, degraded_photo) -> None:
    installs, program = WAYS[way]
    shell(installs, network=True)
    photos = system / HOME[1:] / "photos"
    photos.mkdir()
    for number, kind in enumerate((Degradation.NOISE, None)):
        with Image.open(degraded_photo(kind)) as photo:
            photo.save(photos / f"{number}.jpg", quality=95)
    originals = {path: publishing.sha256(path) for path in photos.iterdir()}
    shell(f"chown -R {OWNER}:{OWNER} ~owner/photos", user=0)
    said = shell(f"{program} up --once --backlog all ~/photos")
    assert re.search(r"│ mended +│ 1 ", said), said
    results = [path.name for path in (system / HOME[1:] / "photos-mended").rglob("*.jpg")]
    assert results == ["0.jpg"]
    assert {path: publishing.sha256(path) for path in originals} == originals
    assert "✓ libraries" in shell(f"{program} doctor || true")
    shell(f"{program} service install --user --dry-run")


@chroots.needed
def test_units_of_a_user_and_of_the_machine_are_verified_by_systemd(system: Path, shell) -> None:
    installs, program = WAYS["checkout"]
    shell(installs, network=True)
    said = shell(f"{program} service install --user")
    assert "systemctl --user" in said
    units = system / HOME[1:] / ".config/systemd/user"
    assert len(list(units.glob("photomend*"))) > 3
    shell("systemd-analyze --user verify ~/.config/systemd/user/photomend*.service")
    refused = shell(f"{program} service install", code=1)
    assert "use sudo, or --user" in refused
    shell(
        "python3 -m venv /opt/photomend && /opt/photomend/bin/pip install --quiet $WHEEL",
        network=True,
        user=0,
    )
    said = shell("/opt/photomend/bin/photomend service install", user=0)
    assert "systemctl" in said
    shell("systemd-analyze verify /etc/systemd/system/photomend*.service", user=0)
