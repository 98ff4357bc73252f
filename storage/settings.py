"""Settings: a TOML file, overridden by PHOTOMEND_* variables, checked when they are first needed."""

import dataclasses
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from storage import cores, memory
from storage.enums import EngineChoice, LeastChange
from storage.errors import SettingsError
from storage.gallery_layout import entangled_settings, state_among_photos
from storage.settings_file import PREFIX, read_file, settings_file
from storage.settings_gallery import GallerySettings
from storage.settings_give_way import GiveWaySettings
from storage.settings_libraries import ImmichSettings, PhotoprismSettings
from storage.settings_notify import MqttSettings, NotifySettings
from storage.settings_paper import PaperSettings
from storage.settings_rules import Rule, unknown_gallery
from storage.settings_schedule import ScheduleSettings
from storage.settings_urls import Mirror, RedisUrl
from storage.settings_values import (
    Positive,
    PositiveInt,
    WrongValue,
    read_path,
    read_table,
    read_values,
    types_of,
)
from storage.settings_web import WebSettings

SOCKET_PATH_BYTES = 100
"""Maximum length of a unix socket's path (the kernel allows 107)."""
TABLES = (
    "galleries", "give_way", "immich", "mqtt", "notify", "paper", "photoprism", "rules", "schedule",
    "web",
)  # fmt: skip
"""Settings that are tables; a variable holds them as JSON."""

FOREIGN = re.compile(
    r"(\w+_)?(NAME|ENV_\w+|SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)", re.ASCII
)
"""Rest of the names of variables that Kubernetes and links of Docker make for a service whose name
begins with photomend (their documentation)."""
MOST_MEGAPIXELS = 200
"""Limit of a photo's size in megapixels if the settings name none, however large the memory."""
HEARTBEATS_PER_TIMEOUT = 2
"""Least number of heartbeats in the time after which a worker counts as lost."""


@dataclass(frozen=True)
class Settings:
    """Everything that the owner of the galleries may decide."""

    state_dir: Path = field(default_factory=lambda: _state_dir())
    """Folder of the database, Redis and locks; on a local disk."""
    database_url: str = ""
    """SQLAlchemy's URL of the database; if empty, a SQLite file in `state_dir`."""
    redis_url: RedisUrl = ""
    """URL of Redis; if empty, a Redis of our own on a socket in `state_dir`."""
    weights_dir: Path | None = None
    """Folder of the networks' weights; `weights` in `state_dir` if not set, where the services find
    it, too. It may be read-only once its files are verified."""
    weights_mirror: Mirror = ""
    """If set, weights are fetched from below this address and from nowhere else."""
    galleries: Mapping[str, GallerySettings] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    """What holds for some photos only; the first rule that matches a photo decides."""
    engine: EngineChoice = EngineChoice.LITE
    """The networks that classify and mend. `auto`: `paper` where its weights and a GPU are, else `lite`."""
    least_change: LeastChange = LeastChange.VISIBLE
    """Whether a photo stays as it is if nobody would see the change at native size (`visible`), or
    every change that the guard accepts makes a copy (`any`)."""
    paper: PaperSettings = field(default_factory=PaperSettings)
    web: WebSettings = field(default_factory=WebSettings)
    immich: ImmichSettings = field(default_factory=ImmichSettings)
    photoprism: PhotoprismSettings = field(default_factory=PhotoprismSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    give_way: GiveWaySettings = field(default_factory=GiveWaySettings)
    workers: int = 0
    """Number of workers that `photomend up` starts; each serves all queues. 0 means one for two
    cores, or a single one if the paper engine may run."""

    settle_seconds: Positive = 5.0
    """A photo is recorded when its size and mtime have not changed for this many seconds."""
    arriving_seconds: float = 600.0
    """A photo that cannot be decoded is still being copied until its mtime is this old."""
    io_timeout_seconds: Positive = 120.0
    """A gallery that answers nothing for this many seconds is offline."""

    max_attempts: PositiveInt = 3
    """A job fails after this many attempts that crash, time out or kill their worker."""
    retry_pause_seconds: float = 30.0
    """Seconds before a job is tried again; grows with its attempts."""
    deadline_seconds: Positive = 300.0
    """Time limit of a step in seconds since its last progress, to which
    `deadline_seconds_per_megapixel` is added."""
    deadline_seconds_per_megapixel: float = 60.0
    """Seconds that are added to the time limit of a step for each megapixel."""
    stop_seconds: float = 20.0
    """Seconds in which a stopped worker may finish its photo; then it gives the job back."""
    idle_seconds: float = 300.0
    """A worker without work for this many seconds ends its child process, to free memory; on a GPU
     only if other programs use its memory."""
    heartbeat_seconds: Positive = 5.0
    """Seconds between two heartbeats of a worker."""
    worker_timeout_seconds: Positive = 60.0
    """A worker without a heartbeat for this many seconds is lost, and its job is queued again."""
    maintenance_seconds: Positive = 10.0
    """Seconds between two rounds of maintenance."""
    max_pending_notifications: PositiveInt = 200
    """Maximum number of pending notifications per queue."""

    max_megabytes: PositiveInt = 500
    """A larger file is not read."""
    max_megapixels: int = 0
    """A photo with more pixels is not decoded. 0 means 200, or fewer if they do not fit into the
    memory that a worker may take."""
    max_memory_megabytes: int = 0
    """Memory that a worker's child may take, unless it uses a GPU. 0: seven eighths of all there is."""
    min_free_megabytes: int = 500
    """No result is written while its disk has less free space."""
    previews_megabytes: int = 500
    """Room in `state_dir` for the pictures that the page shows; the oldest go first. 0 draws none."""
    full_results_megabytes: int = 500
    """Space in `state_dir` for the full results of photos whose strength the owner chose: another
    strength is made from them without computing again. The oldest are removed; 0 keeps none."""
    trash_days: int = 30
    """Days for which rejected results are kept; 0 removes them at once."""

    @property
    def database(self) -> str:
        """The URL of the jobs database."""
        file = str(self.state_dir / "jobs.db").replace("%", "%25").replace("?", "%3F")
        return self.database_url or f"sqlite:///{file}"

    @property
    def memory_megabytes(self) -> int:
        """The megabytes of private memory that a worker's child may take."""
        return self.max_memory_megabytes or memory.share_megabytes()

    @property
    def megapixels(self) -> int:
        """The megapixels of the largest photo that is decoded."""
        fitting = memory.megapixels(self.memory_megabytes)
        return self.max_megapixels or min(fitting, MOST_MEGAPIXELS)

    @property
    def worker_count(self) -> int:
        """The workers of `up`: one for the paper engine, whose networks fill the memory."""
        able = cores.share(self.give_way.cores_share)
        fitting = able // 2 if self.engine is EngineChoice.LITE else 1
        return self.workers or max(1, fitting)

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
        """URL of the Redis in use."""
        return self.redis_url or f"redis+socket://{quote(os.fsencode(self.redis_socket))}"

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
        values = dataclasses.asdict(self)
        values |= {name: json.dumps(values[name], default=str) for name in TABLES}
        return {
            PREFIX + name.upper(): str(value) for name, value in values.items() if value is not None
        }


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingsError: the file cannot be read, a key is unknown or a value is not allowed.

    """
    file = settings_file()
    values = {} if file is None else read_values(Settings, read_file(file), str(file))
    for variable, text in os.environ.items():
        if variable.startswith(PREFIX) and _is_ours(variable):
            value = {variable.removeprefix(PREFIX).lower(): _value(variable, text)}
            values |= read_values(Settings, value, f"the environment variable {variable}")
    return _consistent(Settings(**values), str(file or "the environment"))


def make(values: Mapping[str, Any], where: str) -> Settings:
    """Check `values`, as TOML gives them, and return them as settings; `where` names their origin.

    Raises:
        SettingsError: a key is unknown or a value is not allowed.

    """
    return _consistent(read_table(Settings, values, where), where)


def _is_ours(variable: str) -> bool:
    """Return whether a variable that begins like ours is a setting, or a misspelt one."""
    name = variable.removeprefix(PREFIX)
    return name != "CONFIG" and (name.lower() in types_of(Settings) or not FOREIGN.fullmatch(name))


def _consistent(made: Settings, where: str) -> Settings:
    """Return the settings if they do not contradict each other."""
    if made.worker_timeout_seconds < HEARTBEATS_PER_TIMEOUT * made.heartbeat_seconds:
        raise SettingsError(
            f"{where}: worker_timeout_seconds = {made.worker_timeout_seconds:g} must be at least "
            f"twice heartbeat_seconds = {made.heartbeat_seconds:g}, or workers that live count as lost"
        )
    if problem := unknown_gallery(made.rules, made.galleries):
        raise SettingsError(f"{where}, {problem}")
    if problem := entangled_settings(made.galleries):  # results would be recorded as photos
        raise SettingsError(f"{where}: {problem}")
    if problem := state_among_photos(made.state_dir, made.galleries):
        raise SettingsError(f"{where}: {problem}")
    return made


def _value(variable: str, text: str) -> Any:
    """Return the value that TOML would give for the text of a variable."""
    name = variable.removeprefix(PREFIX).lower()
    if name in TABLES:
        try:
            return json.loads(text)
        except ValueError as error:
            raise SettingsError(
                f"the environment variable {variable} is not JSON: {error}"
            ) from error
    kind = types_of(Settings).get(name)
    if kind in (int, float) or get_args(kind)[:1] in ((int,), (float,)):
        with suppress(ValueError):
            return float(text)
    return text


def _state_dir() -> Path:
    try:
        return read_path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "photomend"
    except WrongValue as error:
        raise SettingsError(
            f"there is no home folder for the state of photomend (XDG_STATE_HOME {error}); "
            "set state_dir"
        ) from error
