"""Each way of installing that docs/install.md names, in a fresh Debian; it mends photos there without a network.

`photomend` is found in a folder with the wheel that `make release` built, not on the package index.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage import publishing
from storage.enums import QUEUES
from tests import chroots
from tests.chroots import PATH, ROOT, Chroot
from tests.fresh_machine import OLD, OWNER, SETTINGS, apt, install_service, run

DOCUMENT = (ROOT / "docs/install.md").read_text()
NEW = "trixie"
"""A release of Debian with Python 3.13."""
UV = """
python3 -m pip install --quiet --target /opt/uv --only-binary :all: --require-hashes -r /source/bootstrap.txt
ln -s /opt/uv/bin/uv /usr/local/bin/uv"""
TRY = "make -C ~/source try"


@dataclass(frozen=True)
class Way:
    """How the user `owner` installs and removes photomend, and what root does before."""

    before: str
    install: str
    uninstall: str
    program: str = "~/.local/bin/photomend"


WAYS = {
    "uv": Way(UV, "uv tool install photomend", "uv tool uninstall photomend"),
    "pipx": Way(apt("pipx"), "pipx install photomend", "pipx uninstall photomend"),
    "pip": Way(
        apt("python3-venv"),
        "python3 -m venv ~/photomend && ~/photomend/bin/pip install photomend",
        "rm -r ~/photomend", "~/photomend/bin/photomend",
    ),
    "checkout": Way(UV, "cd /source\nuv tool install .", "uv tool uninstall photomend"),
    "make": Way(
        apt("make git"), f"cp -r /source ~/source\n{TRY}",
        "rm -r ~/source", "~/source/.venv/bin/photomend",
    ),
}  # fmt: skip
EMULATED = pytest.mark.skipif(
    not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists(),
    reason="no emulator runs the programs of arm64 (Debian's qemu-user-static does)",
)
CASES = [
    *((name, OLD) for name in WAYS), ("pip", NEW), ("pipx", NEW),
    pytest.param("pip", f"{OLD}-arm64", marks=EMULATED),
]  # fmt: skip


def test_each_way_that_is_documented_is_tried():
    part = DOCUMENT.partition("## As a program")[2].partition("## As a service")[0]
    said = set(
        re.findall(
            r"(?:uv tool|pipx) install [\w.]+|python3 -m venv .* photomend$", part, re.MULTILINE
        )
    )
    assert "make try" in (ROOT / "README.md").read_text()
    assert said == {way.install.splitlines()[-1] for way in WAYS.values()} - {TRY}
    assert "uv tool uninstall photomend" in DOCUMENT


@chroots.needed
@pytest.mark.parametrize(("name", "release"), CASES)
def test_a_way_of_installing_ends_with_mended_photos(fresh, photos, name, release):
    way, machine = WAYS[name], fresh(release)
    machine.install(way.before)
    before = machine.files()
    machine.install(way.install, user=OWNER)
    home = machine.system / "home/owner"
    originals = photos(home / "Photos", OWNER)
    assert not machine.has("libGL.so*", "redis-server")

    with machine.without_network() as room:
        run(room, f"{way.program} up ~/Photos --once", OWNER)
        doctor = run(room, f"{way.program} doctor || test $? = 1", OWNER)
    results = {path.name for path in (home / "Photos-mended").glob("*.jpg")}
    assert results == {path.name for path in originals}
    assert {path: publishing.sha256(path) for path in originals} == originals
    assert "all that a worker needs can be imported" in doctor

    machine.install(way.uninstall, user=OWNER)
    left = {path for path in machine.files() - before if "Photos" not in path}
    assert {
        path for path in left if not path.startswith("home/owner/.local/state/photomend")
    } == set()
    assert publishing.sha256(next(iter(originals))) in originals.values()


def unit(file: Path, instance: str = "") -> dict[str, list[str]]:
    """Return what a unit says, each key with its values in order."""
    said: dict[str, list[str]] = {}
    text = file.read_text().replace("\\\n", " ").replace("%i", instance)
    for key, value in re.findall(r"(?m)^(\w+)=(.*)$", text):
        said.setdefault(key, []).append(value)
    return said


@contextmanager
def started_units(
    room: Chroot, folder: Path, user: str, home: str, eventually
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start by hand what systemd would: the units of photomend with their environment."""
    started: list[subprocess.Popen[bytes]] = []

    def start(line: str, given: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(room.command(shlex.split(line), given, f"{user}:{user}"))

    try:
        for name in ("redis", "watch", *(f"worker@{queue}" for queue in QUEUES)):
            kind, at, instance = name.partition("@")
            said = unit(folder / f"photomend-{kind}{at}.service", instance)
            lines = [word for line in said.get("Environment", ()) for word in shlex.split(line)]
            given = {"PATH": PATH, "HOME": home} | dict(word.split("=", 1) for word in lines)
            assert said.get("User", [user]) == [user]
            for line in said.get("ExecStartPre", ()):
                assert start(line, given).wait() == 0
            [line] = said["ExecStart"]
            started.append(start(line, given))
            if kind == "redis":
                [socket] = re.findall(r"--unixsocket (\S+)", line)
                ready = f"test -S {socket}"
                eventually(lambda ready=ready: start(ready, {}).wait() == 0, 60)
        yield started
        assert [process.poll() for process in started] == [None] * len(started)
    finally:
        for process in started:
            process.kill()
            process.wait()


@chroots.needed
def test_the_units_of_the_readme_mend_photos(fresh, photos, eventually):
    machine = fresh(OLD)
    originals = photos(machine.system / "srv/Photos", 0)
    shown = install_service(machine, "systemd", SETTINGS)
    machine.install("systemd-analyze verify --man=no /etc/systemd/system/photomend*")

    assert "all that a worker needs can be imported" in shown
    with machine.without_network() as room:
        state = "install -d -o photomend -g photomend -m 700 photomend photomend/redis"
        run(room, f"cd /var/lib\n{state}", 0)  # which systemd does
        folder = machine.system / "etc/systemd/system"
        mended = [machine.system / "srv/photos-mended" / path.name for path in originals]
        with started_units(room, folder, "photomend", "/var/lib/photomend", eventually):
            eventually(lambda: all(path.exists() for path in mended), 240)
    assert {path: publishing.sha256(path) for path in originals} == originals
    gone = "sudo /opt/photomend/.venv/bin/photomend service uninstall"
    machine.install(f"cd /opt/photomend\n{gone}")
    assert not [path for path in machine.files() if path.startswith("etc/systemd")]


@chroots.needed
def test_the_units_of_a_user_mend_photos(fresh, photos, eventually):
    machine, way = fresh(OLD), WAYS["pip"]
    machine.install(f"{way.before} systemd")
    home = machine.system / "home/owner"
    originals = photos(home / "Photos", OWNER)
    settings = (
        '[galleries.photos]\npath = "/home/owner/Photos"\n'
        'output = "/home/owner/Photos-mended"\nbacklog = "all"\n'
    )
    machine.install(way.install, user=OWNER)
    refused = machine.install(f"{way.program} service install", user=OWNER, code=1)
    assert "--user" in refused
    machine.install(
        f"mkdir -p ~/.config/photomend\n"
        f"echo '{settings}' > ~/.config/photomend/config.toml\n"
        f"{way.program} service install --user\n"
        "XDG_RUNTIME_DIR=/tmp systemd-analyze --user verify --man=no ~/.config/systemd/user/photomend*",
        user=OWNER,
    )

    with machine.without_network() as room:
        folder = home / ".config/systemd/user"
        mended = [home / "Photos-mended" / path.name for path in originals]
        with started_units(room, folder, "owner", "/home/owner", eventually):
            eventually(lambda: all(path.exists() for path in mended), 240)
    assert {path: publishing.sha256(path) for path in originals} == originals
    machine.install(f"{way.program} service uninstall --user", user=OWNER)
    assert not [path for path in machine.files() if "systemd/user" in path]
