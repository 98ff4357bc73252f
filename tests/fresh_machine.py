"""A fresh Debian on which a user installs photomend with a network, and runs it without one."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import chroots
from tests.chroots import PATH, Chroot

OWNER = 1000
"""The number of the ordinary user, and of the group."""


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
