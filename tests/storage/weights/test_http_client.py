"""A server learns nothing that the request does not say, and cannot make us read or trust more."""

import shutil
import ssl
import subprocess
import threading
import time
from contextlib import closing

import pytest
from requests.adapters import HTTPAdapter

from storage.weights import http_client
from storage.weights.http_client import Refused, Unavailable

CONTENT = b"weights" * 1000


@pytest.fixture
def get(file_server):
    """Return the status and the raw body of an answer to a request."""
    file_server.files = {"/net.pth": CONTENT, "/elsewhere": CONTENT}

    def send(url=f"{file_server.url}/net.pth", **headers):
        with (
            closing(HTTPAdapter()) as adapter,
            http_client.get(adapter, url, headers, timeout_seconds=20) as answer,
        ):
            return answer.status_code, answer.raw.read(decode_content=False)

    return send


@pytest.fixture
def secure_server(file_server, tmp_path):
    """Let the file server speak TLS, with a certificate that nobody knows; return its file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so there is no certificate to test with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext"
    files = ["-keyout", key, "-out", certificate]
    subprocess.run(
        [*command.split(), "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    file_server.socket = context.wrap_socket(file_server.socket, server_side=True)
    file_server.url = file_server.url.replace("http:", "https:")
    return certificate


def redirects(to, **headers):
    return lambda answer: answer.head(302, {"Location": to, "Content-Length": 0, **headers})


def test_no_password_and_no_cookie_is_sent(get, file_server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent = []

    def redirects_with_a_cookie(answer):
        sent.append(dict(answer.headers))
        redirects("/elsewhere", **{"Set-Cookie": "name=value; Path=/"})(answer)

    def gives(answer):
        sent.append(dict(answer.headers))
        answer.give()

    file_server.ways = [redirects_with_a_cookie, gives]
    assert get(Range="bytes=7-") == (206, CONTENT[7:])
    expected = {"User-Agent": "photomend", "Accept-Encoding": "identity", "Range": "bytes=7-"}
    assert sent == [expected | {"Host": file_server.url.removeprefix("http://")}] * 2


def test_the_body_of_a_redirect_is_not_read(get, file_server):
    written = threading.Event()

    def redirects_without_end(answer):
        answer.head(302, {"Location": "/elsewhere"})
        try:
            while not answer.server.closing.is_set():
                answer.wfile.write(bytes(65536))
        finally:
            written.set()

    file_server.ways = [redirects_without_end]
    assert get() == (200, CONTENT)
    assert written.wait(10)


def test_a_body_is_not_decoded(get, file_server):
    bomb = b"\x1f\x8b not gzip at all"
    file_server.ways = [
        lambda answer: (
            answer.head(200, {"Content-Encoding": "gzip", "Content-Length": len(bomb)}),
            answer.wfile.write(bomb),
        )
    ]
    assert get() == (200, bomb)


def test_the_proxy_of_the_environment_is_used(get, file_server, monkeypatch):
    file_server.files["http://nowhere.invalid/net.pth"] = CONTENT
    monkeypatch.setenv("http_proxy", file_server.url)
    assert get("http://nowhere.invalid/net.pth") == (200, CONTENT)
    monkeypatch.setenv("no_proxy", "nowhere.invalid")
    with pytest.raises(Unavailable, match="does not answer"):
        get("http://nowhere.invalid/net.pth")


@pytest.mark.parametrize(
    "way",
    [
        lambda answer: answer.head(200, {"X": "x" * 100_000}),
        lambda answer: answer.head(200, {f"X-{n}": n for n in range(1000)}),
        lambda answer: answer.wfile.write(b"220 mail.example ESMTP\r\n" * 1000),
    ],
    ids=["a long header", "many headers", "no HTTP"],
)
def test_an_answer_that_is_no_http_or_too_long_is_left(get, file_server, way):
    file_server.ways = [way]
    with pytest.raises(Unavailable, match="does not answer") as raised:
        get()
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("location", ["http://[", "http://a:b/", "http://\xff.x:-1/"])
def test_a_redirect_to_what_is_no_address_is_refused(get, file_server, location):
    file_server.ways = [redirects(location)]
    with pytest.raises(Refused, match="has an address that is not valid"):
        get()


def test_an_unknown_certificate_is_refused(get, secure_server, file_server):
    with pytest.raises(Refused, match=r"shows no valid certificate \(self-signed certificate\)"):
        get(f"{file_server.url}/net.pth")


def test_a_certificate_that_the_system_knows_is_accepted(
    get, secure_server, file_server, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_server))
    assert get(f"{file_server.url}/net.pth") == (200, CONTENT)


def test_a_redirect_from_https_to_http_is_refused(get, secure_server, file_server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_server))
    file_server.ways = [redirects("http://127.0.0.1:1/net.pth")]
    with pytest.raises(Refused, match=r"redirects to 127\.0\.0\.1 by http, which is not safe"):
        get(f"{file_server.url}/net.pth")


def test_a_silent_server_is_left(file_server):
    file_server.ways = [lambda answer: answer.server.closing.wait(20)]
    since = time.monotonic()
    with closing(HTTPAdapter()) as adapter, pytest.raises(Unavailable, match="it was silent"):
        http_client.get(adapter, file_server.url, {}, timeout_seconds=0.5)
    assert time.monotonic() - since < 10
