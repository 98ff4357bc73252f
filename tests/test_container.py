"""The steps of the Containerfile, in a Debian of its own: it installs, mends, tells its health and stops.

There is no container daemon on most machines that run the tests. The scripts of the image run in a
chroot: the root file system and the photos are read-only then, and there is no network.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from storage import publishing
from storage.enums import Degradation

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/container"
PACKAGES = "python3,python3-pip,ca-certificates"
USER, GROUP = 12345, 23456
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def instructions() -> list[str]:
    """Return the lines of the Containerfile that are no comments."""
    lines = (FOLDER / "Containerfile").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def variables() -> dict[str, str]:
    """Return the environment that the image sets, for the target cpu."""
    target, found = "", dict[str, str]()
    for line in instructions():
        if line.startswith("FROM"):
            target = line.split()[-1]
        if line.startswith("ENV") and target != "cuda":
            found |= dict(re.findall(r"(\w+)=(\S+)", line))
    return found | {"PATH": found["PATH"].replace("$PATH", "/usr/bin:/bin")}


def test_the_containerfile_names_files_that_are_there():
    copied = [
        word
        for line in instructions()
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied and all((ROOT / word).exists() for word in copied)
    runs = [line.split()[2] for line in instructions() if line.startswith("RUN")]
    assert {run.removeprefix("/source/") for run in runs} == {"docs/container/build.sh"}
    stages = [line.split()[-1] for line in instructions() if line.startswith("FROM")]
    assert {"cpu", "cuda"} <= set(stages)


def test_what_the_build_needs_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert all((ROOT / name).exists() for name in kept)
    needed = {
        "pyproject.toml",
        "uv.lock",
        "bootstrap.txt",
        "README.md",
        "LICENSE",
        "daemon",
        "tasks",
    }
    assert needed | {"storage", "alembic", "systemd", "docs/container"} == kept


def test_the_composition_mounts_what_the_image_declares():
    composed = (FOLDER / "compose.yaml").read_text()
    volumes = re.search(r"VOLUME \[(.*)\]", "\n".join(instructions()))
    assert volumes is not None
    for folder in re.findall(r'"(.*?)"', volumes[1]):
        assert re.search(rf"^ +- \S+:{folder}(:ro)? ", composed, re.MULTILINE)
    assert re.search(r":/photos:ro ", composed)
    for name in (
        "PUID",
        "PGID",
        "UMASK",
        "TZ",
        "read_only: true",
        "stop_grace_period",
        "init: true",
    ):
        assert name in composed


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """Build the target cpu of the image in a chroot, by the script of the Containerfile."""
    system, ours = tmp_path / "system", os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    made = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "--quiet"]
    subprocess.run([*made, "bookworm", system], check=True, env=ours, timeout=600)
    shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
    if CERTIFICATES.exists():  # of a network that looks into its traffic
        shutil.copy(CERTIFICATES, system / CERTIFICATES.relative_to("/"))
    source = system / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    for name in map(os.fsdecode, filter(None, tracked.split(b"\0"))):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    for line in instructions():
        if line.startswith("COPY docs/container"):
            for word in line.split()[1:-1]:
                shutil.copy(ROOT / word, system / "usr/local/bin")
    build = [
        "sh",
        "/source/docs/container/build.sh",
        "/source",
        "/opt/photomend",
        "postgres",
        "mqtt",
    ]
    kept = {name: value for name, value in os.environ.items() if "CERT" in name or "CA_" in name}
    command = ["chroot", system, "env", "-i", "PATH=/usr/bin:/bin:/usr/sbin", "HOME=/root"]
    variables = [f"{name}={value}" for name, value in kept.items()]
    subprocess.run([*command, *variables, *build], check=True, timeout=900)
    shutil.rmtree(source)
    yield system
    shutil.rmtree(system, ignore_errors=True)


class Container:
    """A container of the image: its folders are mounted, it has no network and no writable root."""

    def __init__(self, system: Path, folder: Path) -> None:
        self._system = system
        mounts = ["mount --make-rprivate /", f"mount --bind {system} {system}"]
        for name, option in (("config", "rw"), ("photos", "ro"), ("output", "rw")):
            (folder / name).mkdir(exist_ok=True)
            (system / name).mkdir(exist_ok=True)
            mounts += [f"mount --bind {folder / name} {system / name}"]
            mounts += [f"mount -o remount,bind,{option} {system / name}"]
        for kind, place in (("tmpfs", "tmp"), ("proc", "proc"), ("tmpfs", "dev/shm")):
            (system / place).mkdir(exist_ok=True)
            mounts += [f"mount -t {kind} {kind} {system / place}"]
        for device in ("null", "zero", "urandom"):
            mounts += [f"mount --bind /dev/{device} {system / 'dev' / device}"]
        mounts += [f"mount -o remount,bind,ro {system}", "ip link set lo up"]
        hold = ["unshare", "-mnp", "--fork", "--kill-child", "sleep", "infinity"]
        self._hold = subprocess.Popen(hold)
        time.sleep(0.5)
        children = Path(f"/proc/{self._hold.pid}/task/{self._hold.pid}/children").read_text()
        self._first = children.split()[0]
        subprocess.run([*self._entered(), "sh", "-ec", "\n".join(mounts)], check=True)

    def _entered(self) -> list[str]:
        return ["nsenter", "-t", self._first, "-m", "-n", "-p"]

    def start(self, *words: str, **given: str) -> subprocess.Popen[bytes]:
        """Start a command in it, as root, like an engine for containers."""
        environment = [f"{name}={value}" for name, value in (variables() | given).items()]
        command = [*self._entered(), "chroot", self._system, "env", "-i", *environment, *words]
        return subprocess.Popen(command)

    def is_healthy(self) -> bool:
        """Return what the health check of the image says."""
        return self.start("sh", "/usr/local/bin/healthy.sh").wait() == 0

    def stop(self) -> None:
        """End all of it."""
        self._hold.kill()
        self._hold.wait()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    "PHOTOMEND_CONTAINER" not in os.environ, reason="takes minutes; PHOTOMEND_CONTAINER=1 runs it"
)
@pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed here")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a chroot")
def test_a_container_mends_photos_as_the_user_that_was_named(
    image, tmp_path, degraded_photo, eventually
):
    folder = tmp_path / "host"
    for name in ("config", "photos", "output"):
        (folder / name).mkdir(parents=True)
    os.chown(folder / "output", USER, GROUP)
    for number, kind in enumerate((Degradation.NOISE, None)):
        with Image.open(degraded_photo(kind)) as photo:
            photo.save(folder / f"photos/{number}.jpg", quality=95)
    originals = {path: publishing.sha256(path) for path in (folder / "photos").iterdir()}
    (folder / "config/config.toml").write_text(
        '[galleries.photos]\npath = "/photos"\noutput = "/output"\nbacklog = "all"\n'
    )
    container = Container(image, folder)
    entry = next(line for line in instructions() if line.startswith("ENTRYPOINT"))
    words = re.findall(r'"(.*?)"', entry)
    try:
        running = container.start(*words, "up", PUID=str(USER), PGID=str(GROUP), UMASK="027")
        eventually((folder / "output/0.jpg").exists, 180)
        eventually(container.is_healthy, 60)
        result = (folder / "output/0.jpg").stat()
        assert (result.st_uid, result.st_gid) == (USER, GROUP)
        assert (folder / "config/state").stat().st_uid == USER
        owner = (folder / "photos/0.jpg").stat()
        assert (owner.st_uid, owner.st_gid) == (0, 0)
        program = next(
            path for path in Path("/proc").glob("[0-9]*/cmdline")
            if b"photomend\0up" in path.read_bytes() and b"setpriv" not in path.read_bytes()
            and path.parent.stat().st_uid == USER
        )  # fmt: skip
        os.kill(int(program.parent.name), signal.SIGTERM)
        assert running.wait(60) == 0
        assert not container.is_healthy()
    finally:
        container.stop()
    assert not (folder / "output/1.jpg").exists()
    assert {path: publishing.sha256(path) for path in originals} == originals
