"""Settings: a TOML file, overridden by PHOTOMEND_* variables, checked when they are first needed.

Plain dataclasses and not a settings library, because `photomend status` reads them and must answer
at once (pydantic-settings alone takes as long to import as the rest of that command).
"""

import dataclasses
import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from storage.enums import AUTO, QUEUES, EngineName
from storage.errors import SettingsError
from storage.settings_values import dataclass_of
from storage.urls import QUOTE, without_password

PLACES = (Path("~/.config/photomend/config.toml"), Path("/etc/photomend/config.toml"))
"""Where the settings file is looked for; `--config` or PHOTOMEND_CONFIG names another."""
PREFIX = "PHOTOMEND_"
SOCKET_PATH_BYTES = 100
"""A unix socket's path may not be longer (the kernel allows 107)."""
TABLES = ("galleries", "paper")
"""Settings that are tables; a variable holds them as JSON."""
NAME_PRESETS = {
    "mirror": "{stem}{ext}",
    "immich-stack": "{stem}~edit{ext}",
    "photoprism": "{stem} (mended){ext}",
    "digikam": "{stem}_v1{ext}",
}
"""Names that library apps group with the original (each app's own documentation)."""
BESIDE = ("immich-stack", "photoprism", "digikam")
"""The presets that may lay the copy beside its original, inside the gallery."""


@dataclass(frozen=True)
class GallerySettings:
    """One watched folder tree and where its results go."""

    path: Path
    """The watched folder on this machine; nothing is ever written there."""
    output: Path | None = None
    """Folder for results; `<path>-mended` if not set. Never inside a gallery, except with a name
    preset that lays the copy beside its original, and then it is the gallery's own path."""
    mount_point: Path | None = None
    """The gallery is offline while this is not a mount point."""
    watch: str = "auto"
    """auto (events on a local filesystem, else walks), events or walks."""
    walk_seconds: float = 3600.0
    """Pause between two walks over the whole gallery."""
    backlog: str = "new"
    """What of the photos that are there at the first walk is mended: new (none), all, or
    "since 2024-05-01" (those changed since)."""
    ignore: tuple[str, ...] = ()
    """Patterns in gitignore syntax; `.photomendignore` files in the gallery add theirs."""
    faces: bool = True
    """False: no network ever changes a face in these photos, whatever `[paper]` says."""
    name: str = "mirror"
    """A preset (mirror, immich-stack, photoprism, digikam) or a template with {stem} and {ext}."""

    @property
    def output_root(self) -> Path:
        """The folder for results."""
        if self.output is not None:
            return self.output
        if self.name in BESIDE:
            return self.path
        return self.path.with_name(self.path.name + "-mended")

    @property
    def template(self) -> str:
        """The name of a result, with {stem} and {ext}."""
        return NAME_PRESETS.get(self.name, self.name)

    @property
    def since(self) -> float:
        """Photos that the first walk finds are mended if their mtime is not before this second."""
        match self.backlog.split():
            case ["all"]:
                return float("-inf")
            case ["since", day]:
                return datetime.fromisoformat(day).timestamp()
            case _:
                return float("inf")


@dataclass(frozen=True)
class PaperSettings:
    """How the paper engine works, in `[paper]`."""

    steps: tuple[str, ...] = QUEUES
    """The steps that it takes, by their queues' names; lite takes the others."""
    faithful: bool = False
    """Follow the paper to the letter: its prompt on one picture, no second opinion, results four
    times the photo's size, faces pasted as published."""
    classifier: str = "Qwen2.5-VL-7B-Instruct"
    """A vision-language model: weights by their name, or a folder of the owner's own."""
    classifier_url: str = ""
    """If set, a server that speaks OpenAI's chat completions is asked in its stead …"""
    classifier_net: str = "qwen2.5vl:7b"
    """… for the model that it knows by this name …"""
    classifier_key: str = ""
    """… and with this key, if it wants one."""
    enlarge: int = 1
    """Results of super-resolution are 1, 2 or 4 times the photo's size."""
    invsr_steps: int = 1
    """1 to 5; more invent more detail and take longer."""
    reflection_detector: Path | None = None
    """A YOLO that ultralytics can load and that was fitted to reflections."""
    reflection_segmenter: Path | None = None
    """A YOSO that was fitted to reflections."""
    reflection_classes: tuple[str, ...] = ("reflection",)
    """What the detector calls them."""
    reflection_strength: float = 1.0
    """How much of a weak reflection is taken away, 0 to 1."""
    keep_reflection: bool = False
    """Keep what was taken away of each photo, as `reflections/<job>.png` in the state folder."""
    faces: str = "off"
    """on or off: whether a network that knows faces may restore them after motion blur."""
    face_net: str = "CodeFormer"
    """CodeFormer (not for commercial use) or GFPGANv1.4."""
    fidelity: float = 0.8
    """CodeFormer's: 0 is the better face, 1 the same person."""


@dataclass(frozen=True)
class Settings:
    """Everything that the owner of the galleries may decide."""

    state_dir: Path = field(default_factory=lambda: _state_dir())
    """Holds the database, Redis and locks; on a local disk."""
    database_url: str = ""
    """SQLAlchemy's URL; a SQLite file in `state_dir` if empty."""
    redis_url: str = ""
    """Celery's broker; if empty, a Redis of our own on a socket in `state_dir`."""
    weights_dir: Path | None = None
    """Holds the networks' weights; `weights` in `state_dir` if not set, where all processes of this
    machine find it, services too. It may be read-only once it was verified."""
    weights_mirror: str = ""
    """If set, weights are fetched from below this address and from nowhere else."""
    galleries: Mapping[str, GallerySettings] = field(default_factory=dict)
    engine: str = EngineName.LITE
    """lite, paper, or auto: paper for each step whose weights are here, if there is a GPU."""
    paper: PaperSettings = field(default_factory=PaperSettings)
    workers: int = 0
    """How many workers `photomend up` starts, each serving all queues; 0: one for two cores, and
    one for all where the paper engine may run."""

    settle_seconds: float = 5.0
    """A photo is taken once its size and mtime have stood still for this long."""
    young_seconds: float = 600.0
    """A photo that does not decode may still be arriving until it is this old."""
    hang_seconds: float = 120.0
    """A look at a gallery that says nothing for this long hangs: the gallery counts as offline."""

    max_attempts: int = 3
    """So often a photo may take down its worker, time out or crash, then its job has failed."""
    pause_seconds: float = 30.0
    """Pause before a job is tried again; grows with its attempts."""
    deadline_seconds: float = 300.0
    """A step may take this long …"""
    deadline_seconds_per_megapixel: float = 60.0
    """… and this much longer for each megapixel."""
    stop_seconds: float = 20.0
    """A worker that is stopped may finish its photo for this long, then gives it back."""
    idle_seconds: float = 300.0
    """A worker's child that had no work for this long is ended, which frees its memory."""
    beat_seconds: float = 5.0
    lost_seconds: float = 60.0
    """A worker that has not beaten for this long is lost."""
    keep_seconds: float = 10.0
    """Pause between two rounds of the keeper."""
    window: int = 200
    """Nobody rings a queue in which so many bells wait."""

    max_megabytes: int = 500
    """A larger file is not read."""
    max_megapixels: int = 200
    """A photo with more pixels is not decoded."""
    min_free_megabytes: int = 500
    """Results are not written while the output's disk has less free."""

    @property
    def database(self) -> str:
        """The URL of the jobs database."""
        return self.database_url or f"sqlite:///{self.state_dir / 'jobs.db'}"

    @property
    def redis_socket(self) -> Path:
        """Where a Redis of our own listens, if `redis_url` names no other."""
        socket = self.state_dir / "redis.sock"
        if len(os.fsencode(socket)) <= SOCKET_PATH_BYTES:
            return socket
        mark = hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"photomend-{os.getuid()}-{mark}" / "redis.sock"

    @property
    def broker(self) -> str:
        """Celery's URL of the Redis in use."""
        return self.redis_url or f"redis+socket://{quote(str(self.redis_socket))}"

    @property
    def weights_root(self) -> Path:
        """The folder for weights."""
        return self.weights_dir or self.state_dir / "weights"

    def gallery(self, name: str) -> GallerySettings:
        """Return the settings of one gallery.

        Raises:
            SettingsError: this machine's settings do not know it.

        """
        if name not in self.galleries:
            raise SettingsError(
                f"the gallery {name!r} is not in this machine's settings; add [galleries.{name}]"
            )
        return self.galleries[name]

    def to_environment(self) -> dict[str, str]:
        """Return PHOTOMEND_* variables that make the same settings in another process."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["galleries"] = json.dumps(
            {name: _plain(gallery) for name, gallery in self.galleries.items()}
        )
        values["paper"] = json.dumps(_plain(self.paper))
        return {
            PREFIX + name.upper(): str(value) for name, value in values.items() if value is not None
        }


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingsError: the file cannot be read, a key is unknown or a value cannot be.

    """
    file = _file()
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"the settings file {file} cannot be read: {error}") from error
    names = {item.name for item in dataclasses.fields(Settings)}
    for variable, text in os.environ.items():
        if variable.startswith(PREFIX) and variable != PREFIX + "CONFIG":
            name = variable.removeprefix(PREFIX).lower()
            if name not in names:
                raise SettingsError(f"the environment variable {variable} is no setting")
            values[name] = _json_of(variable, text) if name in TABLES else text
    return make(values, str(file or "the environment"))


def make(values: Mapping[str, Any], where: str) -> Settings:
    """Check `values`, as TOML gives them, and return them as settings; `where` names their origin.

    Raises:
        SettingsError: a key is unknown or a value cannot be.

    """
    galleries = values.get("galleries", {})
    if not isinstance(galleries, Mapping):
        raise SettingsError(f"{where}: galleries must be tables, like [galleries.family]")
    plain = {key: value for key, value in values.items() if key not in TABLES}
    made: Settings = dataclass_of(Settings, plain, where)
    if made.engine not in (*EngineName, AUTO):
        raise SettingsError(f"{where}: engine is lite, paper or auto, not {made.engine!r}")
    mirror = made.weights_mirror
    if mirror and (not mirror.startswith(("https://", "http://")) or "@" in mirror.split("/")[2]):
        raise SettingsError(
            f"{where}: weights_mirror is an address like https://nas.example/weights, without a "
            f"password, not {without_password(mirror)!r}"
        )
    _check_redis(made.redis_url, where)
    named = {
        name: _gallery(value, f"{where}, [galleries.{name}]") for name, value in galleries.items()
    }
    _keep_apart(named, where)
    paper = _paper(values.get("paper", {}), f"{where}, [paper]")
    return dataclasses.replace(made, galleries=named, paper=paper)


def _check_redis(url: str, where: str) -> None:
    """Raise unless both Celery and our own client can read the URL; their messages may hold it."""
    if not url:
        return
    with suppress(ValueError):
        parts = urlsplit(url)
        unquoted = "@" in f"{parts.path}{parts.query}{parts.fragment}" or parts.port == 0
        by_network = parts.scheme in ("redis", "rediss") and not unquoted
        on_socket = parts.scheme == "redis+socket" and not parts.netloc
        if (by_network or on_socket) and "password" not in parse_qs(parts.query):
            return
    raise SettingsError(
        f"{where}: redis_url = {without_password(url)} is not like "
        f"redis://name:password@host:6379/0 or redis+socket:///run/redis.sock; {QUOTE}"
    )


def _paper(values: Any, where: str) -> PaperSettings:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: it must be a table")
    paper: PaperSettings = dataclass_of(PaperSettings, values, where)
    allowed: dict[str, tuple[object, ...]] = {
        "enlarge": (1, 2, 4), "invsr_steps": (1, 2, 3, 4, 5), "faces": ("on", "off"),
        "face_net": ("CodeFormer", "GFPGANv1.4"),
    }  # fmt: skip
    for name, words in allowed.items():
        if getattr(paper, name) not in words:
            named = ", ".join(map(str, words))
            raise SettingsError(f"{where}: {name} is one of {named}, not {getattr(paper, name)!r}")
    if unknown := set(paper.steps) - set(QUEUES):
        raise SettingsError(
            f"{where}: steps are of {', '.join(QUEUES)}; {min(unknown)!r} is none of them"
        )
    for name in ("reflection_strength", "fidelity"):
        if getattr(paper, name) > 1:
            raise SettingsError(f"{where}: {name} is 0 to 1, not {getattr(paper, name)}")
    return paper


def _gallery(values: Any, where: str) -> GallerySettings:
    if not isinstance(values, Mapping) or "path" not in values:
        raise SettingsError(f'{where}: a gallery needs its folder: path = "/mnt/photos"')
    gallery: GallerySettings = dataclass_of(GallerySettings, values, where)
    if gallery.watch not in ("auto", "events", "walks"):
        raise SettingsError(f"{where}: watch is auto, events or walks, not {gallery.watch!r}")
    try:
        known = gallery.backlog in ("new", "all") or gallery.since < float("inf")
    except ValueError:
        known = False
    if not known:
        raise SettingsError(
            f'{where}: backlog is "new", "all" or "since 2024-05-01", not {gallery.backlog!r}'
        )
    fields = set(re.findall(r"{(.*?)}", gallery.template))
    if fields != {"stem", "ext"} or "/" in gallery.template:
        presets = ", ".join(NAME_PRESETS)
        raise SettingsError(
            f"{where}: name is a preset ({presets}) or a file name with {{stem}} and {{ext}}, "
            f"not {gallery.name!r}"
        )
    return gallery


def _keep_apart(galleries: Mapping[str, GallerySettings], where: str) -> None:
    """Refuse an output inside a gallery: results would be taken for new photos."""
    for name, gallery in galleries.items():
        for other, watched in galleries.items():
            beside = name == other and gallery.name in BESIDE
            inside = gallery.output_root.absolute().is_relative_to(watched.path.absolute())
            if inside and not beside:
                raise SettingsError(
                    f"{where}: the output {gallery.output_root} of the gallery {name} lies inside "
                    f"the gallery {other} ({watched.path}); set output to a folder outside"
                )
            if name < other and gallery.path.absolute() == watched.path.absolute():
                raise SettingsError(f"{where}: the galleries {name} and {other} are one folder")


def _file() -> Path | None:
    """Return the settings file in use, None if there is none."""
    if named := os.environ.get(PREFIX + "CONFIG"):
        return Path(named)
    return next((p for place in PLACES if (p := place.expanduser()).is_file()), None)


def _json_of(variable: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{variable} is not JSON: {error}") from error


def _plain(table: GallerySettings | PaperSettings) -> dict[str, Any]:
    """Return the settings of a table as JSON takes them."""
    values = {item.name: getattr(table, item.name) for item in dataclasses.fields(table)}
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in values.items()
        if value is not None
    }


def _state_dir() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "photomend"
