"""One request to a server that is not trusted, on real sockets."""

import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from storage import http_request
from storage.http_request import NoAnswer


@pytest.fixture
def serve():
    """Answer one connection with these bytes, each after a pause; return the port."""
    listening = []

    def serve(*pieces: bytes, pause: float = 0.0, context: ssl.SSLContext | None = None) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def answer() -> None:
            try:
                connection, _ = server.accept()
                with (
                    context.wrap_socket(connection, server_side=True)
                    if context
                    else connection as open_
                ):
                    open_.recv(10_000)
                    for piece in pieces:
                        open_.sendall(piece)
                        time.sleep(pause)
            except OSError:
                pass

        threading.Thread(target=answer, daemon=True).start()
        return server.getsockname()[1]

    yield serve
    for server in listening:
        server.close()


def get(url, **limits):
    limits = {"timeout_seconds": 5.0, "max_bytes": 1000} | limits
    return http_request.send("GET", url, {}, **limits)


def test_status_and_body_are_returned_and_a_redirect_is_not_followed(serve):
    port = serve(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert get(f"http://127.0.0.1:{port}/a?b=c") == (302, b"hi")


def test_a_server_that_drips_is_cut_off_in_time(serve):
    port = serve(b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n"] * 50, pause=0.1)
    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"not in 0\.5 s"):
        get(f"http://127.0.0.1:{port}/", timeout_seconds=0.5)
    assert time.monotonic() - began < 2


def test_a_certificate_that_nobody_signed_is_refused(serve, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key -out cert"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    port = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", context=context)
    with pytest.raises(NoAnswer, match="its certificate is not valid"):
        get(f"https://127.0.0.1:{port}/")
