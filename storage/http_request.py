"""Send one request to a server that is not trusted, and read its answer within a time and a size.

http.client follows no redirect, sends no password of .netrc, uses no proxy and checks certificates.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from threading import Timer
from urllib.parse import SplitResult, urlsplit


class NoAnswer(Exception):
    """There is no answer, or not a whole one; the message says why."""


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *,
    timeout_seconds: float, max_bytes: int,
) -> tuple[int, bytes]:  # fmt: skip
    """Send a request; return the status and the body of the answer.

    Raises:
        NoAnswer: there is none, its certificate is not valid, or it is too late or too large.

    """
    parts, deadline = urlsplit(url), time.monotonic() + timeout_seconds
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        with _connection(parts, timeout_seconds, deadline) as connection:
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            answer = response.read(max_bytes + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _reason(error)
        raise NoAnswer(_late(timeout_seconds, deadline) or reason) from error
    if late := _late(timeout_seconds, deadline):
        raise NoAnswer(late)
    if len(answer) > max_bytes:
        raise NoAnswer(f"it sends more than {max_bytes} bytes")
    return response.status, answer


def _late(timeout_seconds: float, deadline: float) -> str:
    return f"not in {timeout_seconds:g} s" if time.monotonic() >= deadline else ""


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})"
    return str(error) or type(error).__name__


@contextmanager
def _connection(
    parts: SplitResult, timeout_seconds: float, deadline: float
) -> Iterator[http.client.HTTPConnection]:
    """Connect, and cut the connection at `deadline` (monotonic seconds), even while data arrive."""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    assert parts.hostname
    connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
    with closing(connection):
        connection.connect()
        timer = Timer(max(0.0, deadline - time.monotonic()), _cut, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
