"""A fresh Debian on which a user installs photomend with a network, and runs it without one."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage import publishing
from storage.enums import Degradation
from tests import chroots
from tests.chroots import PATH, ROOT, Chroot

OWNER = 1000
"""The number of the ordinary user, and of the group."""


OLD = "bookworm"
"""A release of Debian with Python 3.11."""
SETTINGS = """
state_dir = "/var/lib/photomend"
[galleries.photos]
path = "/srv/Photos"
output = "/srv/photos-mended"
backlog = "all"
"""
"""Settings of a service."""


def apt(packages: str) -> str:
    """Return the commands that install packages of Debian."""
    return f"apt-get update -qq\napt-get install -qq -y --no-install-recommends {packages}"


class Machine:
    """A fresh Debian with the ordinary user `owner`, the checkout in /source and the wheel in /wheels."""

    def __init__(self, system: Path, downloads: Path, wheels: Path | None) -> None:
        self.system, self._downloads = system, downloads
        chroots.copy_checkout(system / "source")
        (system / "wheels").mkdir()
        for wheel in wheels.iterdir() if wheels else ():
            shutil.copy(wheel, system / "wheels")
        self.install(f"useradd --create-home --uid {OWNER} owner")

    def install(self, script: str, user: int = 0, code: int = 0) -> str:
        """Run a script of a shell with a network; pip, pipx and uv find the wheel."""
        given = {"PIP_FIND_LINKS": "/wheels", "UV_FIND_LINKS": "/wheels", "UV_LINK_MODE": "copy"}
        given |= {f"{name}_CACHE_DIR": f"/downloads/{user}/{name}" for name in ("PIP", "UV")}
        given |= {"DEBIAN_FRONTEND": "noninteractive"} | chroots.certificate_variables()
        chroot = Chroot(
            self.system, {"downloads": (self._downloads, "rw")}, network=True, writable=True
        )
        try:
            return run(chroot, script, user, code, given)
        finally:
            chroot.stop()

    @contextmanager
    def without_network(self) -> Iterator[Chroot]:
        """Enter it without a network."""
        chroot = Chroot(self.system, {}, network=False, writable=True)
        try:
            yield chroot
        finally:
            chroot.stop()

    def files(self) -> set[str]:
        """Return all paths whose name has photomend in it, without those that the test put there."""
        found = {str(path.relative_to(self.system)) for path in self.system.rglob("*photomend*")}
        return {path for path in found if not path.startswith(("source/", "wheels/"))}

    def has(self, *names: str) -> bool:
        return any(next(self.system.rglob(name), None) for name in names)


def run(
    chroot: Chroot, script: str, user: int, code: int = 0, given: Mapping[str, str] = {}
) -> str:
    """Run a script in the home of a user; return all that it prints."""
    home = "/home/owner" if user else "/root"
    variables = {"PATH": f"{home}/.local/bin:{PATH}", "HOME": home, "LANG": "C.UTF-8"} | given
    command = chroot.command(["sh", "-ec", f"cd\n{script}"], variables, f"{user}:{user}")
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ran.returncode == code, ran.stdout[-6000:]
    return ran.stdout


def install_service(machine: Machine, packages: str, settings: str) -> str:
    """Take the steps of the README for a service; return all that they print."""
    (machine.system / "source/config.toml").write_text(settings)
    part = (ROOT / "README.md").read_text().partition("## As a service (systemd)\n\n```\n")[2]
    steps = part.partition("\n```")[0]
    steps, clones = re.subn(r"git clone \S+", "cp -r /source", steps)
    steps, put = re.subn(
        r"(/etc/photomend) +# put", r"\1; cp config.toml /etc/photomend # put", steps
    )
    steps, asked = re.subn(r"doctor +# once it runs$", "doctor || test $? = 1", steps)
    assert (clones, put, asked) == (1, 1, 1)

    machine.install(apt(f"make git sudo {packages}"))
    kept = " ".join(chroots.certificate_variables())
    sudoers = machine.system / "etc/sudoers.d/certificates"
    sudoers.write_text(f'Defaults env_keep += "{kept} UV_CACHE_DIR PIP_CACHE_DIR"\n')
    return machine.install(steps)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep what pip and uv download, for each user."""
    folder = tmp_path_factory.mktemp("downloads")
    folder.chmod(0o755)
    for user in (0, OWNER):
        (folder / str(user)).mkdir()
        shutil.chown(folder / str(user), user, user)
    return folder


@pytest.fixture(scope="session")
def wheels(debian_system, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a user does: `make release` in a checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    machine = Machine(debian_system(OLD, folder / "system"), downloads, None)
    machine.install(f"{apt('make git')}\nmake -C /source release")
    for wheel in (machine.system / "source/dist").glob("*.whl"):
        shutil.copy(wheel, folder)
    shutil.rmtree(machine.system)
    return folder


@pytest.fixture
def fresh(
    debian_system, wheels: Path, downloads: Path, tmp_path: Path
) -> Iterator[Callable[[str], Machine]]:
    """Return a fresh machine with a release of Debian."""
    system = tmp_path / "system"
    yield lambda release: Machine(debian_system(release, system), downloads, wheels)
    shutil.rmtree(system, ignore_errors=True)


@pytest.fixture
def photos(degraded_photo) -> Callable[[Path, int], dict[Path, str]]:
    """Put a noisy and a soft photo into a folder; return the hash of each."""

    def put(folder: Path, user: int) -> dict[Path, str]:
        folder.mkdir(parents=True)
        for kind in (Degradation.NOISE, Degradation.SOFTNESS):
            shutil.copy(degraded_photo(kind), folder)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user, user)
        return {path: publishing.sha256(path) for path in folder.iterdir()}

    return put
