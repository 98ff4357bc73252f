"""Sockets of two users, in folders of all kinds."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import kombu
import pytest
from kombu.exceptions import OperationalError

from storage.redis_socket import why_not_trusted
from storage.settings import settings
from tasks.worker import redis_client, transport

ME, GUEST = 4001, 4002


@pytest.fixture
def place():
    """Make folders with owners and modes, outermost first, and a socket; return its path."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    made, top = [], Path(tempfile.mkdtemp(dir="/var"))
    top.chmod(0o755)

    def make(*folders: tuple[int, int], owner: int) -> str:
        path = top / str(len(made))
        path.mkdir()
        for number, (user, mode) in enumerate(folders):
            path = path / str(number)
            path.mkdir()
            os.chown(path, user, user)
            path.chmod(mode)
        listener = socket.socket(socket.AF_UNIX)
        made.append(listener)
        listener.bind(str(path / "s"))
        listener.listen()
        os.chown(path / "s", owner, owner)
        return str(path / "s")

    yield make
    for listener in made:
        listener.close()
    shutil.rmtree(top)


@pytest.mark.parametrize(
    ("folders", "owner", "trusted"),
    [
        ([(0, 0o1777)], GUEST, False), ([(0, 0o1777)], ME, True), ([(0, 0o777)], GUEST, False),
        ([(0, 0o1777), (GUEST, 0o755)], GUEST, False), ([(0, 0o1777), (ME, 0o755)], ME, True),
        ([(0, 0o777), (0, 0o755), (GUEST, 0o755)], GUEST, True), ([(GUEST, 0o755)], GUEST, True),
        ([(GUEST, 0o775)], GUEST, True), ([(ME, 0o775)], GUEST, False), ([(0, 0o1777)], 0, True),
    ],
)  # fmt: skip
def test_a_socket_is_trusted_that_no_guest_can_have_made(place, folders, owner, trusted):
    path = place(*folders, owner=owner)
    os.seteuid(ME)
    try:
        assert (why_not_trusted(path) is None) == trusted
    finally:
        os.seteuid(0)


def test_neither_client_connects_to_the_socket_of_a_guest(place, home, monkeypatch):
    path = place((0, 0o1777), owner=GUEST)
    monkeypatch.setenv("PHOTOMEND_REDIS_URL", f"redis+socket://{path}")
    redis_client.client.cache_clear()
    settings.cache_clear()
    reason = redis_client.trouble()
    redis_client.client.cache_clear()
    assert "others may write to the folder" in reason and f"belongs to the user {GUEST}" in reason
    transport.use()
    with pytest.raises(OperationalError, match="others may write to the folder"):
        kombu.Connection(f"redis+socket://{path}").ensure_connection(max_retries=1)
