"""A Debian of its own in a folder, and processes in it with mounts and a network of their own."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def needed(test):
    """Mark a test that makes a chroot: it takes minutes and needs root."""
    for mark in (
        pytest.mark.slow,
        pytest.mark.timeout(1800),
        pytest.mark.skipif(
            "PHOTOMEND_CONTAINER" not in os.environ,
            reason="takes minutes; PHOTOMEND_CONTAINER=1 runs it",
        ),
        pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not here"),
        pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a chroot"),
    ):
        test = mark(test)
    return test


def make(system: Path, packages: str, release: str) -> None:
    """Install a minimal Debian with these packages, which finds the network as this machine does.

    `release` is a suite, with the processor where it is another one: `bookworm-arm64`.
    """
    suite, _, processor = release.partition("-")
    command = ["mmdebstrap", "--variant=minbase", f"--include={packages}", "--quiet"]
    command += [f"--arch={processor}"] if processor else []
    command += [suite, system]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=environment)
    shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
    if CERTIFICATES.exists():  # of a network that looks into its traffic
        shutil.copy(CERTIFICATES, system / CERTIFICATES.relative_to("/"))


def copy_checkout(target: Path) -> None:
    """Copy what git tracks or would track."""
    listed = ["git", "ls-files", "-coz", "--exclude-standard"]
    tracked = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    for name in map(os.fsdecode, filter(None, tracked.split(b"\0"))):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def certificate_variables() -> dict[str, str]:
    """Return what tells programs which certificates to trust here."""
    return {name: value for name, value in os.environ.items() if "CERT" in name or "CA_" in name}


class Chroot:
    """Processes in the folder of a system; all end with it.

    `folders` are mounted: their names in the system, the folders here, and "ro" or "rw".
    """

    def __init__(
        self, system: Path, folders: Mapping[str, tuple[Path, str]], *, network: bool, writable: bool
    ) -> None:  # fmt: skip
        self._system = system
        mounts = ["mount --make-rprivate /", f"mount --bind {system} {system}"]
        for name, (folder, option) in folders.items():
            (system / name).mkdir(exist_ok=True)
            mounts += [f"mount --bind {folder} {system / name}"]
            mounts += [f"mount -o remount,bind,{option} {system / name}"]
        for kind, place in (("tmpfs", "tmp"), ("proc", "proc"), ("tmpfs", "dev/shm")):
            (system / place).mkdir(exist_ok=True)
            mounts += [f"mount -t {kind} {kind} {system / place}"]
        for device in ("null", "zero", "urandom"):
            mounts += [f"mount --bind /dev/{device} {system / 'dev' / device}"]
        if not writable:
            mounts += [f"mount -o remount,bind,ro {system}"]
        own = "-mp" if network else "-mnp"
        self._enter = ["-m", "-p"] if network else ["-m", "-n", "-p"]
        if not network:
            mounts += ["ip link set lo up"]
        hold = ["unshare", own, "--fork", "--kill-child", "sleep", "infinity"]
        self._hold = subprocess.Popen(hold)
        time.sleep(0.5)
        children = Path(f"/proc/{self._hold.pid}/task/{self._hold.pid}/children").read_text()
        self._first = children.split()[0]
        subprocess.run([*self._entered(), "sh", "-ec", "\n".join(mounts)], check=True)

    def _entered(self) -> list[str]:
        return ["nsenter", "-t", self._first, *self._enter]

    def command(
        self, words: Sequence[str | Path], environment: Mapping[str, str], user: str = "0:0"
    ) -> list[str | Path]:
        """Return the command that runs another one in it, as a user and group by their numbers."""
        given = [f"{name}={value}" for name, value in environment.items()]
        inside = ["chroot", f"--userspec={user}", str(self._system), "env", "-i", *given]
        return [*self._entered(), *inside, *words]

    def stop(self) -> None:
        """End all of it."""
        self._hold.kill()
        self._hold.wait()
