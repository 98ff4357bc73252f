"""The commands `web` and `up`: where the page is shown, and where it is refused."""

import json
import os
import socket
import stat
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from daemon.web import server
from daemon.web.credentials import Credentials
from storage.errors import PageRefused
from storage.settings import settings

PHOTOMEND = Path(sys.executable).with_name("photomend")


def free_address() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def run(*words: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PHOTOMEND, *words], input=text, env=os.environ | environment, check=False,
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def test_an_address_of_the_network_needs_a_password(web_settings):
    web_settings('{"address": "0.0.0.0:8484"}')
    with pytest.raises(PageRefused, match="before `photomend web password`"):
        server.check(settings())
    Credentials(settings().state_dir).set_password("correct horse")
    server.check(settings())


def test_a_port_that_is_taken_is_named(web_settings):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        web_settings(json.dumps({"address": address}))
        with pytest.raises(PageRefused, match=f"{address}: another program listens there"):
            server.listen(settings())


@pytest.mark.slow
def test_the_command_refuses_the_network_without_a_password_and_keeps_one_in_a_private_file(home):
    wanted = {"PHOTOMEND_WEB": '{"address": "0.0.0.0:0"}'}
    refused = run("web", **wanted)
    assert refused.returncode == 1
    assert refused.stderr.startswith("photomend: the page is not shown at 0.0.0.0:0")
    assert run("web", "password", text="short\n").returncode == 2
    assert run("web", "password", text="correct horse\n").returncode == 0
    file = settings().state_dir / "web/password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Credentials(settings().state_dir).matches("correct horse")
    token = run("web", "token", "mine").stdout.strip()
    assert Credentials(settings().state_dir).is_token(token)
    assert "mine, made" in run("web", "token").stdout
    assert run("web", "token", "mine", "--revoke").returncode == 0
    assert not Credentials(settings().state_dir).is_token(token)
    assert run("web", "token", "mine", "--revoke").returncode == 1


@pytest.mark.slow
def test_up_shows_the_page_beside_the_other_processes(home, photomend, eventually):
    address = free_address()
    up = photomend("up", PHOTOMEND_WEB=json.dumps({"address": address}), PHOTOMEND_WORKERS="1")
    eventually(lambda: f"the page is at http://{address}/" in (home / "log").read_text(), 200)

    def answers() -> bool:
        try:
            return b"photomend" in urllib.request.urlopen(f"http://{address}/settings").read()
        except OSError:
            return False

    eventually(answers, 200)
    up.terminate()
    assert up.wait(60) == 0
    assert not answers()


@pytest.mark.slow
def test_up_goes_on_without_the_page_if_its_port_is_taken(home, photomend, eventually):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        up = photomend("up", PHOTOMEND_WEB=json.dumps({"address": address}), PHOTOMEND_WORKERS="1")
        eventually(lambda: "another program listens there" in (home / "log").read_text(), 200)
        up.terminate()
        assert up.wait(60) == 0
    assert "page ended" not in (home / "log").read_text()
