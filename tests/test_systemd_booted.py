"""A systemd that has booted runs the units: they mend photos, come back when killed, and stop in time."""

import itertools
import json
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from storage import publishing
from storage.enums import QUEUES, Degradation
from tests import chroots
from tests.booted import Booted
from tests.fresh_machine import OLD, OWNER, SETTINGS, Machine, install_service, run

PACKAGES = "systemd systemd-sysv dbus libpam-systemd iproute2 procps"
PROGRAM = "/opt/photomend/.venv/bin/photomend"
UNITS = ["redis", "watch", *(f"worker@{queue}" for queue in QUEUES)]
IMPATIENT = """
stop_seconds = 0.5
retry_pause_seconds = 1
heartbeat_seconds = 1
worker_timeout_seconds = 10
maintenance_seconds = 1
"""
OTHERS = "192.0.2.7"
"""An address that is not localhost; the container has it, and the units may not reach it."""
CONNECT = f"""
import os, socket
socket.create_server(("", 9999))
server = socket.create_server(("", 9998))
with open("/sys/fs/cgroup/system.slice/photomend-watch.service/cgroup.procs", "w") as group:
    group.write(str(os.getpid()))
socket.create_connection(("127.0.0.1", 9998), 3).close()
try:
    socket.create_connection(("{OTHERS}", 9998), 3).close()
except TimeoutError:
    print("refused")
"""


def needed(test):
    """Mark a test that boots a systemd."""
    has_it = shutil.which("systemd-nspawn")
    return chroots.needed(
        pytest.mark.skipif(not has_it, reason="systemd-nspawn is not here (systemd-container)")(
            test
        )
    )


class Service:
    """The units of photomend in a Debian that has booted."""

    def __init__(self, system: Path) -> None:
        self._system, self._room = system, Booted(system)
        self.gallery, self.output = system / "srv/Photos", system / "srv/photos-mended"

    def run(self, script: str, user: int = 0, code: int = 0) -> str:
        given = {"XDG_RUNTIME_DIR": f"/run/user/{user}"} if user else {}
        return run(self._room, script, user, code, given)

    def job(self, name: str) -> dict[str, Any]:
        """Return the record of a photo; empty if there is none yet."""
        listed = f"cd /opt/photomend\nsudo -u photomend {PROGRAM} jobs --json"
        return next((job for job in json.loads(self.run(listed)) if job["source"] == name), {})

    def is_restoring(self, name: str) -> bool:
        job = self.job(name)
        return bool(job) and (job["status"], job["queue"]) == ("running", "super-resolution")

    def shown(self, name: str) -> list[str]:
        """Return what systemd knows by this name of each unit."""
        units = " ".join(f"photomend-{unit}" for unit in UNITS)
        return self.run(f"systemctl show --value --property={name} {units}").split()

    def stop(self) -> None:
        self._room.stop()

    def reboot(self) -> None:
        self._room.stop()
        self._room = Booted(self._system)


@pytest.fixture(scope="module")
def service(debian_system, downloads: Path, tmp_path_factory) -> Iterator[Service]:
    """Boot a Debian in which the steps of the README were taken, and run the commands they print."""
    system = tmp_path_factory.mktemp("booted") / "system"
    machine = Machine(debian_system(OLD, system), downloads, None)
    (system / "srv/Photos").mkdir()
    shown = install_service(machine, PACKAGES, IMPATIENT + SETTINGS)
    service = Service(system)
    try:
        service.run("\n".join(re.findall(r"^  (systemctl .*)", shown, re.MULTILINE)))
        yield service
    finally:
        service.stop()
    shutil.rmtree(system)


@pytest.fixture
def put_large_photo(service, degraded_photo) -> Callable[[str, int], Path]:
    """Put a photo that takes seconds into the gallery; return the path of its result."""

    def put(name: str, turn: int) -> Path:
        large = Image.new("RGB", (2400, 2400))
        with Image.open(degraded_photo(Degradation.NOISE)) as noisy:
            for left, top in itertools.product(range(0, 2400, 400), repeat=2):
                large.paste(noisy.rotate(turn), (left, top))
        large.save(service.gallery / name, quality=95)
        return service.output / name

    return put


@needed
def test_the_units_mend_photos_with_all_protection(service, photos, eventually):
    originals = photos(service.gallery / "some", 0)
    mended = [service.output / "some" / path.name for path in originals]
    eventually(lambda: all(path.exists() for path in mended), 240)
    assert {path: publishing.sha256(path) for path in originals} == originals
    assert service.run("journalctl --quiet --priority=warning --unit='photomend*'") == ""
    assert "WARNING" not in service.run("journalctl --quiet --unit='photomend-w*'")
    service.run(f"cd /opt/photomend\nsudo -u photomend {PROGRAM} doctor")


@needed
def test_the_units_write_to_the_output_only_and_reach_no_other_machine(service):
    for process in service.shown("MainPID")[1:]:
        enter = f"nsenter -m -t {process} -S $(id -u photomend) -G $(id -g photomend)"
        service.run(f"{enter} touch /srv/photos-mended/x /var/lib/photomend/x")
        service.run(f"{enter} test -r /srv/Photos -a -x /srv/Photos")
        for folder in ("/srv/Photos", "/srv", "/etc", "/home/owner", "/opt/photomend"):
            as_root = f"nsenter -m -t {process} touch {folder}/x"
            assert "Read-only file system" in service.run(as_root, code=1)
    service.run(f"ip address add {OTHERS} dev lo")
    assert "refused" in service.run(f"python3 -c {shlex.quote(CONNECT)}")


@needed
def test_what_is_killed_comes_back_and_the_photo_is_mended_once(
    service, put_large_photo, eventually
):
    mended = put_large_photo("killed.jpg", 0)
    eventually(lambda: service.is_restoring("killed.jpg"), 240)
    service.run(f"kill -9 {' '.join(service.shown('MainPID'))}")
    eventually(lambda: service.shown("ActiveState") == ["active"] * len(UNITS), 60)
    assert service.shown("NRestarts") == ["1"] * len(UNITS)
    eventually(mended.exists, 240)
    eventually(lambda: service.job("killed.jpg")["status"] == "done")
    events = service.run(f"cd /opt\nsudo -u photomend {PROGRAM} show /srv/Photos/killed.jpg")
    assert len(re.findall(r":\d\d  restored$", events, re.MULTILINE)) == 1


@needed
def test_a_restart_during_a_photo_costs_no_attempt(service, put_large_photo, eventually):
    mended = put_large_photo("restarted.jpg", 90)
    eventually(lambda: service.is_restoring("restarted.jpg"), 240)
    service.run("systemctl restart photomend.target")
    assert service.job("restarted.jpg")["status"] == "queued"
    eventually(mended.exists, 240)
    eventually(lambda: service.job("restarted.jpg")["status"] == "done")
    job = service.job("restarted.jpg")
    assert (job["attempts"], job["claims"]) == (0, 3)


@needed
def test_a_reboot_starts_the_units_again(service, photos, eventually):
    service.reboot()
    [original, *_] = photos(service.gallery / "later", 0)
    eventually((service.output / "later" / original.name).exists, 240)


@needed
def test_the_units_of_a_user_run_without_a_session(service, photos, eventually):
    home = service.output.parents[1] / "home/owner"
    photos(home / "Photos", OWNER)
    (home / "config.toml").write_text(
        '[galleries.photos]\npath = "~/Photos"\noutput = "~/Photos-mended"\nbacklog = "all"\n'
    )
    service.run("loginctl enable-linger owner")
    shown = service.run(
        f"mkdir -p .config/photomend\ncp config.toml .config/photomend\n{PROGRAM} service install --user",
        OWNER,
    )
    service.run("\n".join(re.findall(r"^  (systemctl .*)", shown, re.MULTILINE)), OWNER)
    eventually(lambda: len([*home.glob("Photos-mended/*.jpg")]) == 2, 240)
    shown = "systemctl --user show --value -p {} photomend-watch"
    service.run(f"kill -9 $({shown.format('MainPID')})", OWNER)
    state = shown.format("NRestarts -p ActiveState")
    eventually(lambda: set(service.run(state, OWNER).split()) == {"1", "active"}, 60)
    service.run(f"{PROGRAM} service uninstall --user", OWNER)
    service.run("! pgrep -u owner -f [b]in/photomend", OWNER)


@needed
def test_an_uninstallation_waits_until_all_have_ended(service, put_large_photo, eventually):
    put_large_photo("interrupted.jpg", 180)
    eventually(lambda: service.is_restoring("interrupted.jpg"), 240)
    started = time.monotonic()
    service.run(f"{PROGRAM} service uninstall\n! pgrep -u photomend")
    assert time.monotonic() - started < 40
    assert service.job("interrupted.jpg")["attempts"] == 0
    assert service.run("find /etc/systemd -name 'photomend*' -not -type d") == ""
