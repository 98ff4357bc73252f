"""Post requests to a server with OpenAI's chat completions, with retries and a time limit."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from storage import http_request
from storage.errors import SettingsError
from storage.http_request import NoAnswer
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
        try:
            return http_request.send(
                "POST", self._parts.geturl(), headers, body,
                timeout_seconds=self.timeout_seconds, max_bytes=MAX_BYTES,
            )  # fmt: skip
        except NoAnswer as error:
            raise ClassifierUnavailable(
                f"the server {self.name} gives no answer: {error}"
            ) from error

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
