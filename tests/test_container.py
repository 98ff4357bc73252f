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
from collections.abc import Callable, Iterator
from functools import partial
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
SETTINGS = '[galleries.photos]\npath = "/photos"\noutput = "/output"\nbacklog = "all"\n'


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
    (folder / "config/config.toml").write_text(SETTINGS)
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


@pytest.fixture(scope="module")
def store(debian_system, tmp_path_factory) -> Iterator[Callable[..., str]]:
    """Build the target cpu as photomend:cpu; return what runs a command on the store of the image.

    The base is a Debian instead of the image that FROM names, which is not fetched.
    """
    folder = tmp_path_factory.mktemp("engine")
    own = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]

    def command(program: str, *words: str | Path) -> str:
        ran = subprocess.run(
            [program, *own, *words], cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"DISABLE_HC_SYSTEMD": "true"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    debian_system("bookworm", folder / "system")
    base = command("buildah", "from", "scratch")
    command("buildah", "add", "--quiet", base, folder / "system", "/")
    shutil.rmtree(folder / "system")
    [named] = {line.split()[1] for line in instructions() if line.startswith("FROM docker.io")}
    command("buildah", "commit", "--quiet", "--rm", base, named)
    certificates = [
        f"--env={each}={name}" for each, name in chroots.certificate_variables().items()
    ]
    command(
        "buildah", "bud", "--quiet", "--isolation=chroot", "--pull-never", "--layers=false",
        "--network=host", "--format=docker", "--target=cpu", "--tag=photomend:cpu", *certificates,
        "--file=docs/container/Containerfile", ".",
    )  # fmt: skip
    yield command
    shutil.rmtree(folder)


@pytest.fixture
def host(tmp_path: Path, degraded_photo) -> Path:
    """Make the folders of a container, with a photo."""
    folder = tmp_path / "host"
    for name in ("config", "photos", "output"):
        (folder / name).mkdir(parents=True)
    with Image.open(degraded_photo(Degradation.NOISE)) as photo:
        photo.save(folder / "photos/0.jpg", quality=95)
    (folder / "config/config.toml").write_text(SETTINGS)
    os.chown(folder / "output", USER, GROUP)
    return folder


@chroots.needed
@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is not here")
def test_an_engine_builds_an_image_that_mends_photos(store, host):
    made = json.loads(store("buildah", "inspect", "--type=image", "photomend:cpu"))
    made = made["Docker"]["config"]
    assert made["Healthcheck"]["Test"] == ["CMD", "sh", "/usr/local/bin/healthy.sh"]
    assert set(made["Volumes"]) == {"/config", "/photos", "/output"}
    name = store("buildah", "from", "--pull-never", "photomend:cpu")
    container = Container(Path(store("buildah", "mount", name)), host)
    given = dict(line.split("=", 1) for line in made["Env"])
    try:
        words = [*made["Entrypoint"], "up", "--once"]
        running = container.start(*words, **given | {"PUID": str(USER), "PGID": str(GROUP)})
        assert running.wait(180) == 0
    finally:
        container.stop()
        store("buildah", "umount", name)
    result = (host / "output/0.jpg").stat()
    assert (result.st_uid, result.st_gid) == (USER, GROUP)


@chroots.needed
@pytest.mark.skipif(not shutil.which("buildah"), reason="buildah is not here")
@pytest.mark.skipif(not (shutil.which("podman") and shutil.which("runc")), reason="no podman, runc")
def test_podman_runs_the_image_until_it_is_stopped(store, host, eventually):
    """systemd asks for the health where it runs; here the test does."""
    original = publishing.sha256(host / "photos/0.jpg")
    volumes = {"config": "", "photos": ":ro", "output": ""}
    podman = partial(store, "podman", "--runtime=runc")
    podman(
        "run", "--detach", "--name=mending", "--read-only", "--init=false", "--network=none",
        "--security-opt=no-new-privileges", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096",
        f"--env=PUID={USER}", f"--env=PGID={GROUP}",
        *(f"--volume={host / name}:/{name}{option}" for name, option in volumes.items()),
        "photomend:cpu",
    )  # fmt: skip
    try:
        eventually((host / "output/0.jpg").exists, 240)
        podman("healthcheck", "run", "mending")
        asked = json.loads(podman("inspect", "mending"))[0]["State"]
        assert asked.get("Health", asked.get("Healthcheck"))["Status"] == "healthy"
        podman("stop", "--time=60", "mending")
        assert podman("inspect", "--format={{.State.ExitCode}}", "mending") == "0"
    finally:
        podman("rm", "--force", "mending")
    result = (host / "output/0.jpg").stat()
    assert (result.st_uid, result.st_gid) == (USER, GROUP)
    assert publishing.sha256(host / "photos/0.jpg") == original
