"""The systemd units for where photomend is installed, from the templates in `systemd/`."""

import re
import string
from dataclasses import dataclass
from pathlib import Path

import daemon
from storage.errors import PhotomendError
from storage.text import printable

TEMPLATES = Path(str(daemon.__file__)).parents[1] / "systemd"
PROGRAM = "/opt/photomend/.venv/bin/photomend"
REDIS = "/usr/bin/redis-server"
STATE = "/var/lib/photomend"
SETTINGS = "/etc/photomend"
OUTPUT = "-/srv/photos-mended"
"""What the templates name: the program, a Redis, and the folders of state, settings and results."""

REDIS_UNIT = "photomend-redis.service"
NOT_OF_USERS = frozenset({
    "User", "Group", "StateDirectory", "StateDirectoryMode", "RemoveIPC", "KeyringMode",
    "CapabilityBoundingSet", "AmbientCapabilities", "DevicePolicy", "DeviceAllow", "PrivateDevices",
    "ProtectSystem", "ReadWritePaths", "ProtectHome", "PrivateNetwork", "PrivateTmp", "IPAddressDeny",
    "IPAddressAllow", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectClock", "ProtectHostname", "ProtectControlGroups", "ProtectProc", "Wants",
})  # fmt: skip
"""What the manager of a user cannot do, or only in a user namespace, which hides who owns a photo.

`Wants` names network-online.target, which is a unit of the system only (systemd.exec(5))."""
_PARAGRAPH = re.compile(r"((?:#.*\n)*)((?:(?!#).*\n)*)")
"""Comments, and the lines that they explain."""
_NAME = re.compile(r"(\w+)=")
_PLAIN = frozenset(string.ascii_letters + string.digits + "/._-+=:,@~%$")


class UnitsRefused(PhotomendError):
    """The units cannot be written, or systemd would not accept them."""


@dataclass(frozen=True)
class Place:
    """Where photomend is on this machine, and for whom the units are."""

    of_user: bool
    """For the manager of one user, instead of the system's."""
    program: tuple[str, ...]
    """The command `photomend`."""
    redis: str | None
    """The program to start as Redis; None if the settings name one that runs elsewhere."""
    state: Path
    settings_folder: Path
    """Where the file with the GPU of a queue may be."""
    settings_file: Path | None
    """The settings file, None if it is found without being named."""
    outputs: tuple[Path, ...]

    @property
    def has_default_state(self) -> bool:
        """Whether systemd makes the state folder."""
        return not self.of_user and str(self.state) == STATE


def texts(place: Place) -> dict[str, str]:
    """Return the content of each unit by its name.

    Raises:
        UnitsRefused: a path cannot be written into a unit.

    """
    names = sorted(path.name for path in TEMPLATES.glob("photomend*"))
    wanted = [name for name in names if name != REDIS_UNIT or place.redis]
    return {name: _text((TEMPLATES / name).read_text(), place) for name in wanted}


def _text(template: str, place: Place) -> str:
    """Return a template with the paths of the place, and without what does not fit it."""
    kept: list[str] = []
    for comments, lines in _PARAGRAPH.findall(template):
        fitted = [made for line in lines.splitlines() for made in _fitted(line, place)]
        if fitted or not lines:
            kept += [*comments.splitlines(), *fitted]
    return "\n".join(kept) + "\n"


def _fitted(line: str, place: Place) -> list[str]:
    """Return what becomes of a line that is no comment."""
    name = _NAME.match(line)
    key = name[1] if name else ""
    if place.of_user and (key in NOT_OF_USERS or line.startswith("Environment=HOME=")):
        return []
    if key == "StateDirectory" and not place.has_default_state:
        return [f"ReadWritePaths={_word(f'-{place.state}')}"]
    if key == "StateDirectoryMode" and not place.has_default_state:
        return []
    if line == f"ReadWritePaths={OUTPUT}" and place.outputs:
        return [f"ReadWritePaths={_word(f'-{output}')}" for output in place.outputs]
    if line.startswith("Environment=PHOTOMEND_STATE_DIR=") and place.settings_file:
        return [
            _replaced(line, place),
            f"Environment={_word(f'PHOTOMEND_CONFIG={place.settings_file}')}",
        ]
    if key == "EnvironmentFile":  # systemd reads all the rest of this line as one path
        return [line.replace(SETTINGS, _checked(f"{place.settings_folder}"))]
    return [_replaced(line, place)]


def _replaced(line: str, place: Place) -> str:
    """Return a line with the paths of the place; systemd reads its words as a shell would."""
    name = _NAME.match(line)
    key = name[0] if name else ""
    return key + " ".join(_with_paths(word, place) for word in line.removeprefix(key).split(" "))


def _with_paths(word: str, place: Place) -> str:
    if word in (PROGRAM, REDIS):
        words = place.program if word == PROGRAM else (place.redis or REDIS,)
        return " ".join(_word(part) for part in words)
    before, found, after = word.partition(STATE)
    if found:
        return _word(f"{place.state}", before, after)
    return {"multi-user.target": "default.target"}.get(word, word) if place.of_user else word


def _checked(text: str) -> str:
    """Return a text in which systemd finds no specifier.

    Raises:
        UnitsRefused: it has letters that no unit can hold.

    """
    if not text.isprintable():  # a line break, or a byte that is not UTF-8
        raise UnitsRefused(f"systemd cannot read the path {printable(text)}; give it another name")
    return text.replace("%", "%%")


def _word(text: str, before: str = "", after: str = "") -> str:
    """Return a word of a unit with a text, quoted where it must be."""
    word = before + _checked(text) + after
    if set(word) <= _PLAIN:
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
