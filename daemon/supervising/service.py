"""Write, check and remove the systemd units of this installation."""

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path

from daemon.supervising import redis_server
from daemon.supervising.unit_files import REDIS_UNIT, STATE, Place, UnitsRefused
from storage import atomic_files, private_files, settings_origins
from storage.enums import QUEUES
from storage.settings import settings
from storage.settings_file import PLACES, settings_file
from storage.text import command, printable

SYSTEM_FOLDER = Path("/etc/systemd/system")
SYSTEMD_RUNS = Path("/run/systemd/system")
"""It is there where systemd is the init process (sd_booted(3))."""
OWNER = "photomend"
"""The user of the system's units."""
VERIFY_SECONDS = 60.0
"""Longest wait for systemd-analyze."""
_HEAD = "# Written by `photomend service install`. Change it with `systemctl edit`, in a file beside it.\n"
_MARK = re.compile(r"# Unchanged while the rest has the SHA-256 ([0-9a-f]{64})\.\n")


class Change(StrEnum):
    """What an installation does with a unit."""

    NEW = "new"
    SAME = "is as it must be"
    UPDATED = "updated"
    KEPT = "was changed by hand, and stays as it is; --replace writes it anew"
    REPLACED = "was changed by hand, and is written anew; the old one has the ending .old"


def folder(*, of_user: bool) -> Path:
    """Return the folder of the units."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "systemd/user" if of_user else SYSTEM_FOLDER


def place(*, of_user: bool) -> Place:
    """Return where photomend is on this machine, as the settings say.

    Raises:
        UnitsRefused: no unit can use this place.

    """
    known, origins, program = settings(), settings_origins.origins(), _program()
    if not of_user and (closed := _closed_to_others(Path(program[0]), Path(sys.executable))):
        raise UnitsRefused(
            f"the user {OWNER} may not enter {printable(closed)}, where this photomend is installed; "
            "install it elsewhere, such as in /opt, or use --user"
        )
    state = known.state_dir if of_user or "state_dir" in origins else Path(STATE)
    if len(os.fsencode(state / "redis.sock")) > 100 and not known.redis_url:
        raise UnitsRefused(f"the path {printable(state)} is too long for a socket; set state_dir")
    file = settings_file()
    found_by_itself = (Path(PLACES[0]).expanduser() if of_user else None, Path(PLACES[1]))
    return Place(
        of_user=of_user, program=program, state=state,
        redis=None if known.redis_url else redis_server.executable(),
        settings_folder=folder(of_user=True).parents[1] / "photomend" if of_user else Path("/etc/photomend"),
        settings_file=None if file is None or file in found_by_itself else file.absolute(),
        outputs=tuple(gallery.output_root for gallery in known.galleries.values()),
    )  # fmt: skip


def _program() -> tuple[str, ...]:
    """Return the command that runs this photomend: the script of this environment, or Python."""
    script = Path(sys.prefix, "bin", "photomend")
    return (str(script),) if script.exists() else (sys.executable, "-P", "-m", "photomend")


def _closed_to_others(*files: Path) -> Path | None:
    """Return a folder on the way to one of the files that not everyone may enter."""
    folders = [path for file in files for each in {file, file.resolve()} for path in each.parents]
    return next((path for path in folders if not path.stat().st_mode & 0o001), None)


def signed(text: str) -> str:
    """Return the text of a unit with lines by which a change is noticed."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{_HEAD}# Unchanged while the rest has the SHA-256 {digest}.\n{text}"


def is_ours(text: str) -> bool:
    """Return whether photomend wrote this text, and nobody changed it."""
    found = _MARK.match(text.removeprefix(_HEAD))
    if found is None:
        return False
    rest = text.removeprefix(_HEAD)[found.end() :]
    return hashlib.sha256(rest.encode()).hexdigest() == found[1]


def changes(texts: dict[str, str], where: Path, *, replace: bool) -> dict[str, Change]:
    """Return what an installation would do with each unit."""
    return {name: _change(where / name, signed(text), replace) for name, text in texts.items()}


def _change(file: Path, wanted: str, replace: bool) -> Change:
    try:
        text = file.read_text(errors="replace")
    except FileNotFoundError:
        return Change.NEW
    if text == wanted:
        return Change.SAME
    if is_ours(text):
        return Change.UPDATED
    return Change.REPLACED if replace else Change.KEPT


def verify(texts: dict[str, str], *, of_user: bool) -> bool:
    """Ask systemd whether it accepts the units; return whether it could be asked.

    Raises:
        UnitsRefused: it does not accept them.

    """
    if shutil.which("systemd-analyze") is None:
        return False
    with tempfile.TemporaryDirectory() as named:
        for name, text in texts.items():
            Path(named, name).write_text(text)
        options = ["--user"] if of_user else []
        runtime = {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR") or named}
        asked = subprocess.run(
            ["systemd-analyze", *options, "verify", "--man=no", *(Path(named, name) for name in texts)],
            check=False, capture_output=True, text=True, errors="replace", timeout=VERIFY_SECONDS,
            env=os.environ | runtime,
        )  # fmt: skip
    lines = [line for line in asked.stderr.splitlines() if "photomend" in line]
    if asked.returncode and not lines and not SYSTEMD_RUNS.is_dir():
        return False  # only root can ask where systemd has never run
    if asked.returncode or lines:
        reason = printable((lines or asked.stderr.splitlines() or ["no reason was given"])[0])
        raise UnitsRefused(f"systemd does not accept the units: {reason}")
    return True


def write(texts: dict[str, str], decided: dict[str, Change], here: Place, where: Path) -> None:
    """Write the units that are new or other than before.

    Raises:
        UnitsRefused: this user may not write there.

    """
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name, change in decided.items():
            if change is Change.REPLACED:
                shutil.copy2(where / name, where / f"{name}.old")
            if change not in (Change.SAME, Change.KEPT):
                atomic_files.write(where / name, signed(texts[name]).encode(), 0o644)
    except PermissionError as error:
        raise _refused(where) from error
    if here.of_user:
        private_files.make_folder(here.state / "redis")


def remove(where: Path, *, replace: bool, dry_run: bool) -> dict[str, bool]:
    """Remove the units that photomend wrote, and the links that start them.

    Returns each unit, and whether it goes: one that was changed by hand stays unless `replace`.

    Raises:
        UnitsRefused: this user may not remove them.

    """
    there = [file for kind in ("service", "target") for file in where.glob(f"photomend*.{kind}")]
    decided = {
        file.name: replace or is_ours(file.read_text(errors="replace"))
        for file in sorted(there)
        if file.is_file()
    }
    gone = {name for name, goes in decided.items() if goes}
    if not dry_run:
        try:
            for file in [*_links(where, gone), *(where / name for name in gone)]:
                file.unlink()
        except PermissionError as error:
            raise _refused(where) from error
    return decided


def _links(where: Path, gone: set[str]) -> list[Path]:
    """Return the links by which systemd starts these units."""
    links = where.glob("*.wants/photomend*")
    return [link for link in links if re.sub(r"@.*\.", "@.", link.name) in gone]


def _refused(where: Path) -> UnitsRefused:
    return UnitsRefused(
        f"this user may not write to {printable(where)}; use sudo, or --user for units of your own"
    )


def stop(*, of_user: bool) -> None:
    """Stop what runs and wait until it has ended, if systemd runs this machine.

    All units are named: the stop of the target alone does not wait for what it stops.
    """
    if SYSTEMD_RUNS.is_dir():
        subprocess.run([*_manager(of_user=of_user), "stop", "photomend*"], check=False)


def reload(*, of_user: bool) -> None:
    """Make systemd read its units, if it runs this machine."""
    if SYSTEMD_RUNS.is_dir():
        subprocess.run([*_manager(of_user=of_user), "daemon-reload"], check=False)


def to_prepare(here: Place) -> list[str]:
    """Return the commands that make what the system's units need and this machine lacks."""
    if here.of_user:
        return []
    owned = ("install", "-d", "-o", OWNER, "-g", OWNER)
    lines = []
    if not _is_user(OWNER):
        lines.append(command("useradd", "--system", "--home-dir", here.state, OWNER))
    if settings_file() is None:
        lines.append(command(*here.program, "config", "init", PLACES[1]))
    if not here.has_default_state:
        lines.append(command(*owned, "-m", "700", here.state, here.state / "redis"))
    lines += [command(*owned, output) for output in here.outputs if not output.exists()]
    return lines


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def to_start(here: Place) -> list[str]:
    """Return the commands that start the units now and at each boot."""
    manager = _manager(of_user=here.of_user)
    redis = [REDIS_UNIT] if here.redis else []
    workers = [f"photomend-worker@{queue}.service" for queue in QUEUES]
    units = ["photomend.target", "photomend-watch.service", *redis, *workers]
    lines = [
        command(*manager, "daemon-reload"),
        command(*manager, "enable", *units),
        command(*manager, "start", "photomend.target"),
    ]
    return [*lines, command("loginctl", "enable-linger")] if here.of_user else lines


def _manager(*, of_user: bool) -> tuple[str, ...]:
    return ("systemctl", "--user") if of_user else ("systemctl",)
