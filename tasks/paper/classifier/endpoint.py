"""Post requests to a server with OpenAI's chat completions, with retries and a time limit."""

import http.client
import json
import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Timer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from storage.errors import SettingsError
from storage.urls import HIDDEN, without_password
from tasks.paper.classifier.answers import ClassifierUnavailable

log = logging.getLogger(__name__)

MAX_BYTES = 2**20
"""Largest answer that is read; one letter and its probabilities take some thousand bytes."""
EXCERPT_LENGTH = 200
"""Most characters of a server's answer in a message."""
BUSY_STATUSES = (408, 429)
"""HTTP statuses below 500 after which trying again helps."""


@dataclass(frozen=True)
class Endpoint:
    """The address of a server, and how long and how often it is asked."""

    url: str
    key: str = field(repr=False)
    timeout_seconds: float
    pauses_seconds: Sequence[float]

    @property
    def name(self) -> str:
        """Return the address without its password."""
        return without_password(self.url)

    def check(self) -> None:
        """Check address and key.

        Raises:
            SettingsError: the address is no HTTP URL, or the key cannot be sent.

        """
        if not (self.key.isascii() and self.key.isprintable()):  # http.client's error would show it
            raise SettingsError("classifier_key has a line break or a character that is not ASCII")
        with suppress(ValueError):
            parts = self._parts
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return
        raise SettingsError(
            f"classifier_url = {self.name} is no address of a server, like http://localhost:11434"
        )

    def post(self, request: Mapping[str, Any]) -> tuple[int, bytes]:
        """Post a request, with retries while those may help; return status and body."""
        body = json.dumps(request).encode()
        for pause in self.pauses_seconds:
            try:
                status, answer = self._post(body)
                if status < 500 and status not in BUSY_STATUSES:
                    return status, answer
                log.info("the server %s answers %d: %s", self.name, status, self.excerpt(answer))
            except ClassifierUnavailable as unavailable:
                log.info("%s", unavailable)
            time.sleep(pause)
        return self._post(body)

    def excerpt(self, body: bytes) -> str:
        """Return the beginning of an answer, or of its error message, as text without our key."""
        return _excerpt(body, self.key)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """Post a request once; return the status and the body of the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        deadline = time.monotonic() + self.timeout_seconds
        try:
            with self._connection(deadline) as connection:
                connection.request("POST", self._parts.path, body, headers)
                response = connection.getresponse()
                answer = response.read(MAX_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unavailable(deadline, str(error) or type(error).__name__) from error
        if time.monotonic() >= deadline:
            raise self._unavailable(deadline, "")
        if len(answer) > MAX_BYTES:
            raise self._unavailable(deadline, f"it sends more than {MAX_BYTES} bytes")
        return response.status, answer

    @contextmanager
    def _connection(self, deadline: float) -> Iterator[http.client.HTTPConnection]:
        """Connect, and cut the connection at `deadline` (monotonic seconds), even while data arrive."""
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        assert self._parts.hostname
        connection = kind(self._parts.hostname, self._parts.port, timeout=self.timeout_seconds)
        with closing(connection):
            connection.connect()
            timer = Timer(max(0.0, deadline - time.monotonic()), _cut, [connection.sock])
            timer.daemon = True
            timer.start()
            try:
                yield connection
            finally:
                timer.cancel()

    def _unavailable(self, deadline: float, reason: str) -> ClassifierUnavailable:
        late = f"not in {self.timeout_seconds:g} s" if time.monotonic() >= deadline else reason
        return ClassifierUnavailable(f"the server {self.name} gives no answer: {late}")

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url.rstrip("/").removesuffix("/v1") + "/v1/chat/completions")


def _excerpt(body: bytes, key: str) -> str:
    text = body.decode(errors="replace")
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        error = json.loads(text)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    text = text.replace(key, HIDDEN) if key else text
    printable = "".join(sign if sign.isprintable() else " " for sign in text[: 2 * EXCERPT_LENGTH])
    return " ".join(printable.split())[:EXCERPT_LENGTH] or "nothing"


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
