"""`photomend service` writes units that systemd accepts, for where photomend is installed."""

import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.commands.app import app
from daemon.supervising import service, unit_files
from daemon.supervising.unit_files import Place, UnitsRefused
from storage.settings import settings

PROGRAM = str(Path(sys.executable).with_name("photomend"))
UNITS = {
    "photomend-redis.service", "photomend-watch.service", "photomend-worker@.service",
    "photomend.target",
}  # fmt: skip


@pytest.fixture
def tmp_path():
    """Return a folder whose name leaves room for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="pm") as name:
        yield Path(name)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Return the folder of the user's units."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "PHOTOMEND_STATE_DIR", "PHOTOMEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path / ".config/systemd/user"
    settings.cache_clear()


def run(*words: str, code: int = 0) -> str:
    settings.cache_clear()
    ended = CliRunner().invoke(app, ["service", *words])
    assert ended.exit_code == code, ended.output
    return ended.output


def here(**changed: object) -> Place:
    place = Place(
        of_user=False, program=(sys.executable,), redis=sys.executable,
        state=Path("/var/lib/photomend"), settings_folder=Path("/etc/photomend"),
        settings_file=None, outputs=(),
    )  # fmt: skip
    return replace(place, **changed)


def test_the_units_of_a_user_name_this_installation(folder, tmp_path):
    shown = run("install", "--user")
    assert {path.name for path in folder.iterdir()} == UNITS
    text = (folder / "photomend-watch.service").read_text()
    assert f"\nExecStart={PROGRAM} watch\n" in text
    assert f"\nEnvironment=PHOTOMEND_STATE_DIR={tmp_path}/.local/state/photomend\n" in text
    assert not re.search(r"(?m)^(User|ProtectSystem|CapabilityBoundingSet)=", text)
    assert "systemctl --user start photomend.target" in shown
    assert (tmp_path / ".local/state/photomend/redis").is_dir()


def test_settings_are_found_and_the_redis_of_others_needs_no_unit(folder, tmp_path):
    config = tmp_path / "my settings.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\nredis_url = "redis://192.0.2.1"\n'
        f'[galleries.g]\npath = "{tmp_path}/Photos"\n'
    )
    CliRunner().invoke(app, ["--config", str(config), "service", "install", "--user"])
    os.environ.pop("PHOTOMEND_CONFIG")
    assert {path.name for path in folder.iterdir()} == UNITS - {"photomend-redis.service"}
    text = (folder / "photomend-worker@.service").read_text()
    assert f'\nEnvironment="PHOTOMEND_CONFIG={config}"\n' in text
    assert f"\nEnvironment=PHOTOMEND_STATE_DIR={tmp_path}/state\n" in text


def test_a_dry_run_writes_nothing(folder):
    assert f"ExecStart={PROGRAM} work %i" in run("install", "--user", "--dry-run")
    assert not folder.exists()


def test_a_unit_that_was_changed_by_hand_is_never_overwritten_unasked(folder):
    run("install", "--user")
    changed = folder / "photomend.target"
    changed.write_text(changed.read_text() + "# mine\n")
    shown = run("install", "--user", code=1)
    assert f"{changed}: was changed by hand, and stays as it is" in shown
    assert changed.read_text().endswith("# mine\n")

    assert "was changed by hand, and stays" in run("uninstall", "--user", code=1)
    assert [path.name for path in folder.iterdir()] == ["photomend.target"]

    run("install", "--user", "--replace")
    assert not changed.read_text().endswith("# mine\n")
    assert (folder / "photomend.target.old").read_text().endswith("# mine\n")


def test_an_older_unit_of_photomend_is_updated(folder):
    run("install", "--user")
    older = folder / "photomend.target"
    older.write_text(service.signed("[Unit]\nDescription=photomend: older\n"))
    assert f"{older}: updated" in run("install", "--user")
    assert "is as it must be" in run("install", "--user")
    assert "older" not in older.read_text()


def test_nothing_is_left_of_removed_units(folder):
    run("install", "--user")
    wants = folder / "photomend.target.wants"
    wants.mkdir()
    (wants / "photomend-worker@classify.service").symlink_to(folder / "photomend-worker@.service")
    assert "would be removed" in run("uninstall", "--user", "--dry-run")
    assert (folder / "photomend.target").exists()
    run("uninstall", "--user")
    assert not [path for path in folder.rglob("*") if not path.is_dir()]


def test_a_removal_waits_for_each_unit_and_not_for_the_target_alone(folder, monkeypatch, tmp_path):
    run("install", "--user")
    asked = tmp_path / "asked"
    manager = tmp_path / "bin/systemctl"
    manager.parent.mkdir()
    manager.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    manager.chmod(0o755)
    monkeypatch.setenv("PATH", str(manager.parent), prepend=os.pathsep)
    monkeypatch.setattr(service, "SYSTEMD_RUNS", tmp_path)
    run("uninstall", "--user")
    assert asked.read_text().splitlines() == ["--user stop photomend*", "--user daemon-reload"]


def verified(place: Place) -> dict[str, str]:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed here (apt install systemd)")
    texts = unit_files.texts(place)
    service.verify(texts, of_user=place.of_user)
    return texts


@pytest.mark.parametrize("of_user", [False, True])
def test_systemd_accepts_units_with_any_path(tmp_path, of_user):
    odd = tmp_path / 'an "odd" $name 100%\\'
    odd.mkdir()
    program = tmp_path / "bin $HOME 100%/photomend"  # systemd refuses quotes in a program's path
    program.parent.mkdir()
    program.symlink_to("/bin/true")
    verified(
        here(
            of_user=of_user, program=(str(program),), redis=str(program), state=odd,
            settings_folder=odd, settings_file=odd / "c.toml", outputs=(odd, Path("/srv/b")),
        )
    )  # fmt: skip


def test_systemd_reads_the_paths_that_were_meant(tmp_path):
    odd = Path('/srv/an "odd" $name 100%')
    text = verified(here(outputs=(odd,), state=Path("/srv/state")))["photomend-watch.service"]
    assert '\nReadWritePaths="-/srv/an \\"odd\\" $name 100%%"\n' in text
    assert "\nReadWritePaths=-/srv/state\n" in text
    assert "StateDirectory" not in text


def test_what_systemd_does_not_accept_is_not_written(folder, monkeypatch):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed here (apt install systemd)")
    monkeypatch.setattr(service, "_program", lambda: ("photomend-is-not-here",))
    ended = CliRunner().invoke(app, ["service", "install", "--user"])
    assert isinstance(ended.exception, UnitsRefused)
    assert "systemd does not accept the units: " in str(ended.exception)
    assert not folder.exists()


def test_the_units_for_the_place_of_the_readme_are_the_templates():
    place = here(program=(unit_files.PROGRAM,), redis=unit_files.REDIS)
    for name, text in unit_files.texts(place).items():
        assert text.strip() == (unit_files.TEMPLATES / name).read_text().strip()


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9"])
def test_a_path_that_no_unit_can_hold_is_refused(name):
    with pytest.raises(UnitsRefused, match="give it another name"):
        unit_files.texts(here(outputs=(Path("/srv") / name,)))


def test_an_installation_that_others_may_not_enter_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setattr(service, "_program", lambda: (str(tmp_path / "photomend"),))
    with pytest.raises(UnitsRefused, match="install it elsewhere, such as in /opt"):
        service.place(of_user=False)


def test_the_units_of_the_system_need_root(folder, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(service.atomic_files, "write", refuse)
    ended = CliRunner().invoke(app, ["service", "install", "--user"])
    assert "use sudo, or --user" in str(ended.exception)
