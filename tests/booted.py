"""A Debian in a folder that is run by its own systemd, in a container of systemd-nspawn without a network."""

import os
import subprocess
from pathlib import Path

from tests.chroots import Chroot
from tests.conftest import eventually

CALLS = "bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""System calls that a machine allows and systemd-nspawn does not."""


class Booted(Chroot):
    """Processes beside a systemd that has booted; all end with it."""

    def __init__(self, system: Path) -> None:
        self._system = Path("/")
        self._container = subprocess.Popen(
            ["systemd-nspawn", "--boot", "--quiet", f"--directory={system}",
             f"--machine=photomend-{os.getpid()}", "--private-network",
             "--register=no", "--keep-unit", "--capability=all", f"--system-call-filter={CALLS}"],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            eventually(self._has_booted, 120)
        except BaseException:
            self._container.kill()
            raise

    def _has_booted(self) -> bool:
        assert self._container.poll() is None
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        for number in children.read_text().split():
            if Path(f"/proc/{number}/comm").read_text() == "systemd\n":
                self._first = number
                words = self.command(["systemctl", "is-system-running", "--quiet"], {})
                return subprocess.run(words, check=False).returncode == 0
        return False

    def _entered(self) -> list[str]:
        return ["nsenter", "-t", self._first, "-m", "-u", "-i", "-n", "-p", "-C"]

    def stop(self) -> None:
        """Shut it down."""
        subprocess.run(self.command(["systemctl", "poweroff"], {}), check=False)
        try:
            self._container.wait(120)
        finally:
            self._container.kill()
            self._container.wait()
