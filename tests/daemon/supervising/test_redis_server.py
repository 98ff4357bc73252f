"""The Redis that photomend starts takes notifications, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError, RedisError

from daemon.supervising import redis_server
from storage.errors import RedisMissing
from storage.settings import settings
from tasks.worker import notify, redis_client

UNIT = Path(__file__).parents[3] / "systemd/photomend-redis.service"


@pytest.fixture(params=["the code", "the unit"])
def client(request, home, tmp_path, eventually):
    """A client of our own Redis, started by `photomend up` or with the words of the unit."""
    redis_client.client.cache_clear()
    socket = settings().redis_socket
    if request.param == "the code":
        with (tmp_path / "log").open("ab") as log:
            process = redis_server.start(log)
    else:
        text = (
            UNIT.read_text().partition("ExecStart=/usr/bin/redis-server ")[2].partition("\n\n")[0]
        )
        words = text.partition("\nRestart=")[0].replace("\\\n", " ").replace('""', "''").split()
        words = [word if word != "''" else "" for word in words]
        words = [str(socket) if w.endswith("/redis.sock") else w for w in words]
        words[words.index("--dir") + 1] = str(tmp_path)
        socket.parent.mkdir(exist_ok=True, parents=True)
        process = subprocess.Popen([redis_server.executable(), *words], stdout=subprocess.DEVNULL)
    eventually(socket.exists)
    yield redis.Redis(unix_socket_path=str(socket))
    process.kill()
    process.wait()
    redis_client.client.cache_clear()


def test_our_own_redis_takes_notifications_and_nothing_else(client, eventually):
    eventually(lambda: redis_client.trouble() is None)
    assert notify.send("classify", 7) and notify.waiting("classify") == 1
    for words in (
        ("EVAL", "return 1", "0"), ("FUNCTION", "LIST"), ("CONFIG", "GET", "dir"), ("KEYS", "*"),
        ("ACL", "LIST"), ("SHUTDOWN",), ("MODULE", "LIST"), ("FLUSHALL",),
        ("PUBLISH", "x", "y"), ("CLIENT", "KILL", "ID", "1"), ("SET", "other", "1"),
        ("LPUSH", "classify", "1"), ("SAVE",), ("REPLICAOF", "127.0.0.1", "1"),
    ):  # fmt: skip
        with pytest.raises(NoPermissionError):
            client.execute_command(*words)
    with pytest.raises(RedisError):
        client.lpush(redis_client.key("classify"), bytes(2_000_000))
    assert notify.waiting("classify") == 1


def test_no_redis_is_started_in_a_folder_that_a_guest_made(home, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    monkeypatch.setenv("PHOTOMEND_STATE_DIR", str(home / ("deep" * 30)))
    settings.cache_clear()
    folder = settings().redis_socket.parent
    folder.mkdir()
    try:
        os.chown(folder, 4002, 4002)
        with pytest.raises(RedisMissing, match="belongs to the user 4002"):
            redis_server.start(subprocess.DEVNULL)
        assert not list(folder.iterdir())
    finally:
        folder.rmdir()
