"""Redis servers of every kind, as real processes: both clients use the same database of each."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from daemon.supervising.redis_server import executable
from storage.enums import QUEUES, Degradation
from storage.settings import settings
from tasks.worker import redis_client

PASSWORD = "se@/+:am"
PW = quote(PASSWORD, safe="")
BIN = Path(sys.executable).parent
SEND = """
from tasks.worker import notify
assert notify.send("classify", 1) and notify.send("classify", 2)
print(notify.waiting("classify"))
"""


@pytest.fixture
def serve(tmp_path, eventually):
    """Start a Redis with these options; return a client of it."""
    started = []

    def start(*options: object, mode: str = "", **client: object) -> redis.Redis:
        words = [executable(), *map(str, options), "--save", "", "--dir", str(tmp_path)]
        if mode:
            words = [executable(), *map(str, options), mode]
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))
        found = redis.Redis(**client)
        eventually(lambda: _answers(found))
        return found

    yield start
    for process in started:
        process.kill()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
def unused_port():
    def find() -> int:
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            return trial.getsockname()[1]

    return find


@pytest.fixture
def url(request, serve, tmp_path, unused_port) -> tuple[str, redis.Redis]:
    """The URL of a Redis, and a client of the database that it names."""
    port, second = unused_port(), unused_port()
    login = {"password": PASSWORD, "db": 2}
    match request.param:
        case "socket":
            path = tmp_path / "r@dis.sock"
            found = serve(
                "--port", 0, "--unixsocket", path, "--requirepass", PASSWORD,
                unix_socket_path=str(path), **login,
            )  # fmt: skip
            return f"redis+socket://:{PW}@{quote(str(path))}?virtual_host=2", found
        case "tls":
            _make_certificate(tmp_path)
            files = {"cert": "cert", "key": "key", "ca-cert": "cert"}
            words = [
                word for k, v in files.items() for word in (f"--tls-{k}-file", tmp_path / v)
            ]  # fmt: skip
            found = serve(
                "--port", 0, "--tls-port", port, *words, "--tls-auth-clients", "no",
                "--requirepass", PASSWORD, port=port, ssl=True, host="localhost",
                ssl_ca_certs=str(tmp_path / "cert"), **login,
            )  # fmt: skip
            return f"rediss://:{PW}@localhost:{port}/2?ssl_ca_certs={tmp_path / 'cert'}", found
        case "sentinel" | "sentinel with a password":
            found = serve("--port", port, "--requirepass", PASSWORD, port=port, **login)
            conf = tmp_path / "sentinel.conf"
            conf.write_text(
                f"port {second}\nsentinel monitor main 127.0.0.1 {port} 1\n"
                f'sentinel auth-pass main "{PASSWORD}"\n'
            )
            address = f"sentinel://:{PW}@127.0.0.1:1,127.0.0.1:{second}/2?master_name=main"
            if request.param == "sentinel":
                serve(conf, mode="--sentinel", port=second)
                return address, found
            with conf.open("a") as file:
                file.write(f'requirepass "own-{PASSWORD}"\n')
            serve(conf, mode="--sentinel", port=second, password=f"own-{PASSWORD}")
            return f"{address}&sentinel_password=own-{PW}", found
        case _:
            found = serve("--port", port, "--requirepass", PASSWORD, port=port, **login)
            return f"redis://:{PW}@127.0.0.1:{port}/2", found


def _make_certificate(folder: Path) -> None:
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", folder / "key", "-out", folder / "cert"]
    name = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", *words, *files, *name], check=True, capture_output=True)


KINDS = ["network", "socket", "tls", "sentinel", "sentinel with a password"]


@pytest.mark.slow
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_notifications_are_sent_and_counted_in_the_same_database(home, url):
    address, client = url
    done = subprocess.run(
        [sys.executable, "-P", "-c", SEND], env=os.environ | {"PHOTOMEND_REDIS_URL": address},
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "2\n", done.stderr
    assert client.lrange(redis_client.key("classify"), 0, -1) == [b"2", b"1"]


@pytest.mark.slow
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_a_photo_is_mended_by_any_kind_of_redis(home, url, photomend, take_photo, eventually):
    take_photo("cat.jpg", kind=Degradation.NOISE)
    redis = {"PHOTOMEND_REDIS_URL": url[0]}
    photomend("watch", **redis)
    photomend("work", *QUEUES, **redis)
    eventually((home / "output/cat.jpg").exists)
    log = (home / "log").read_text()
    assert PASSWORD not in log and PW not in log and "Traceback" not in log


@pytest.mark.slow
@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("command", [["up", "--once"], ["doctor"]])
def test_a_wrong_password_is_a_sentence_without_it(home, url, command):
    wrong = url[0].replace(PW, "sesam-open")
    ended = subprocess.run(
        [BIN / "photomend", *command], env=os.environ | {"PHOTOMEND_REDIS_URL": wrong}, cwd=home,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    printed = ended.stdout + ended.stderr
    assert ended.returncode in (1, 5)
    assert "password" in printed and "sesam" not in printed and "Traceback" not in printed


def test_an_unknown_certificate_is_refused_by_both_clients(home, monkeypatch):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", "rediss://nas:6379/0")
    settings.cache_clear()
    redis_client.client.cache_clear()
    from tasks.worker.app import configuration

    assert configuration()["broker_url"].endswith("?ssl_cert_reqs=required")
    assert redis_client.client().connection_pool.connection_kwargs["ssl_cert_reqs"] == "required"
    redis_client.client.cache_clear()


@pytest.mark.parametrize("reason", ["memory", "read-only"])
def test_a_redis_that_refuses_writes_is_in_trouble(home, redis_server, monkeypatch, reason):
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", redis_server.url)
    settings.cache_clear()
    redis_client.client.cache_clear()
    assert redis_client.trouble() is None
    if reason == "memory":
        redis_server.client.config_set("maxmemory", 1)
        assert "maxmemory" in redis_client.trouble()
    else:
        redis_server.client.replicaof("127.0.0.1", 1)
        assert "read only" in redis_client.trouble()
    redis_client.client.cache_clear()
