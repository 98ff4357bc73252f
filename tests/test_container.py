"""The steps of the Containerfile, in a Debian of its own: it installs, mends, tells its health and stops.

There is no container daemon on most machines that run the tests. The scripts of the image run in a
chroot: the root file system and the photos are read-only then, and there is no network.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from storage import publishing
from storage.enums import Degradation
from tests import chroots
from tests.chroots import Chroot

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/container"
USER, GROUP = 12345, 23456


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


@pytest.mark.parametrize("lines", ["as it is", "all"])
def test_a_client_understands_the_composition(tmp_path, lines):
    """`all`: with the lines that are comments, for the page and for a GPU."""
    clients = (["docker", "compose"], ["docker-compose"], ["podman-compose"])
    client = next((each for each in clients if _answers(each)), None)
    if client is None:
        pytest.skip("there is no docker compose, docker-compose or podman-compose")
    file = tmp_path / "compose.yaml"
    text = (FOLDER / "compose.yaml").read_text()
    if lines == "all":
        text = re.sub(r"^( +)# (?=[\w ]+:)", r"\1", text, flags=re.MULTILINE)
    file.write_text(text)
    ran = subprocess.run(
        [*client, "-f", file, "config"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "read_only: true" in ran.stdout
    assert ("8484" in ran.stdout and "nvidia" in ran.stdout) == (lines == "all")


def _answers(command: list[str]) -> bool:
    try:
        return (
            subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


@pytest.fixture
def image(debian_system, tmp_path: Path) -> Iterator[Path]:
    """Build the target cpu of the image in a chroot, by the script of the Containerfile."""
    system = debian_system("bookworm", tmp_path / "system")
    chroots.copy_checkout(system / "source")
    for line in instructions():
        if line.startswith("COPY docs/container"):
            for word in line.split()[1:-1]:
                shutil.copy(ROOT / word, system / "usr/local/bin")
    chroot = Chroot(system, {}, network=True, writable=True)
    build = ["sh", "/source/docs/container/build.sh", "/source", "/opt/photomend"]
    given = chroots.certificate_variables() | {"PATH": chroots.PATH, "HOME": "/root"}
    try:
        command = chroot.command([*build, "postgres", "mqtt"], given)
        subprocess.run(command, check=True, timeout=900)
    finally:
        chroot.stop()
    shutil.rmtree(system / "source")
    yield system
    shutil.rmtree(system, ignore_errors=True)


class Container:
    """A container of the image: its folders are mounted, it has no network and no writable root."""

    def __init__(self, system: Path, folder: Path) -> None:
        options = {"config": "rw", "photos": "ro", "output": "rw"}
        folders = {name: (folder / name, option) for name, option in options.items()}
        self._chroot = Chroot(system, folders, network=False, writable=False)
        self.stop = self._chroot.stop

    def start(self, *words: str, **given: str) -> subprocess.Popen[bytes]:
        """Start a command in it, as root, like an engine for containers."""
        return subprocess.Popen(self._chroot.command(words, variables() | given))

    def is_healthy(self) -> bool:
        """Return what the health check of the image says."""
        return self.start("sh", "/usr/local/bin/healthy.sh").wait() == 0


@chroots.needed
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


@chroots.needed
@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is not here")
def test_an_engine_builds_an_image_that_mends_photos(debian_system, tmp_path, degraded_photo):
    """The base is a Debian instead of the image that FROM names, which is not fetched."""
    folder = tmp_path / "host"
    for name in ("config", "photos", "output"):
        (folder / name).mkdir(parents=True)
    with Image.open(degraded_photo(Degradation.NOISE)) as photo:
        photo.save(folder / "photos/0.jpg", quality=95)

    def buildah(*words: str | Path) -> str:
        own = [f"--root={tmp_path}/store", f"--runroot={tmp_path}/run", "--storage-driver=vfs"]
        ran = subprocess.run(
            ["buildah", *own, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    debian_system("bookworm", tmp_path / "system")
    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, tmp_path / "system", "/")
    [named] = {line.split()[1] for line in instructions() if line.startswith("FROM docker.io")}
    buildah("commit", "--quiet", "--rm", base, named)
    certificates = [
        f"--env={each}={name}" for each, name in chroots.certificate_variables().items()
    ]
    buildah(
        "bud", "--quiet", "--isolation=chroot", "--pull-never", "--layers=false", "--network=host",
        "--format=docker", "--target=cpu", "--tag=photomend:cpu", *certificates,
        "--file=docs/container/Containerfile", ".",
    )  # fmt: skip
    made = json.loads(buildah("inspect", "--type=image", "photomend:cpu"))["Docker"]["config"]
    assert made["Healthcheck"]["Test"] == ["CMD", "sh", "/usr/local/bin/healthy.sh"]
    assert set(made["Volumes"]) == {"/config", "/photos", "/output"}
    (folder / "config/config.toml").write_text(
        '[galleries.photos]\npath = "/photos"\noutput = "/output"\nbacklog = "all"\n'
    )
    os.chown(folder / "output", USER, GROUP)
    system = Path(buildah("mount", buildah("from", "--pull-never", "photomend:cpu")))
    given = dict(line.split("=", 1) for line in made["Env"])
    container = Container(system, folder)
    try:
        words = [*made["Entrypoint"], "up", "--once"]
        running = container.start(*words, **given | {"PUID": str(USER), "PGID": str(GROUP)})
        assert running.wait(180) == 0
    finally:
        container.stop()
    result = (folder / "output/0.jpg").stat()
    assert (result.st_uid, result.st_gid) == (USER, GROUP)
