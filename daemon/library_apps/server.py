"""Requests to the server of an app: with its key, and with nothing of the answer trusted."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from daemon.library_apps.errors import Refused, Trouble
from storage import http_request
from storage.http_request import NoAnswer
from storage.text import printable
from storage.urls import HIDDEN

MAX_BYTES = 8 * 2**20
"""Largest answer that is read: 250 assets take half of it, with all their EXIF data."""
MOST_KEY_BYTES = 1000
"""A longer file holds no key; those of immich have 43 letters."""
EXCERPT_LENGTH = 200
"""Most characters of an app's own words in a message."""

ALLOWED = (401, 403)
BUSY = (408, 425, 429)
"""Statuses below 500 after which the same request may succeed."""


@dataclass(frozen=True)
class Server:
    """The server of an app."""

    app: str
    """Its name in messages."""
    url: str
    """Address below which its paths begin."""
    secret_name: str
    """The setting with the file of its key."""
    secret_file: Path | None
    secret_header: tuple[str, str]
    """Name of the header that holds the key, and what stands before the key."""
    timeout_seconds: float
    """Longest wait for a whole answer."""

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        """Return the JSON of an answer."""
        return self.ask("GET", path + (f"?{urlencode(query)}" if query else ""))

    def ask(self, method: str, path: str, body: object = None, permission: str = "") -> Any:
        """Send a request; return the JSON of the answer, None if it has no body.

        Raises:
            Trouble: no answer, no permission, a redirect, or what no such app would answer.
            Refused: the app refuses it.

        """
        secret = self.secret()
        header, scheme = self.secret_header
        headers = {header: scheme + secret, "Accept": "application/json", "User-Agent": "photomend"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            status, answer = http_request.send(
                method, self.url + path, headers, content,
                timeout_seconds=self.timeout_seconds, max_bytes=MAX_BYTES,
            )  # fmt: skip
        except NoAnswer as error:
            raise Trouble(
                f"{self.app} at {self.url} does not answer: {printable(error)}"
            ) from error
        if 200 <= status < 300:
            return self._json(answer)
        raise self._error(status, _words(answer, secret), permission)

    def secret(self) -> str:
        """Return the key.

        Raises:
            Trouble: there is no file with a key.

        """
        if self.secret_file is None:
            raise Trouble(f"{self.secret_name} is not set; write the key of {self.app} into a file")
        try:
            with self.secret_file.open("rb") as file:
                secret = file.read(MOST_KEY_BYTES + 1).decode("ascii").strip()
        except OSError as error:
            raise Trouble(
                f"{self.secret_name} = {printable(self.secret_file)} cannot be read: {error.strerror}"
            ) from error
        except ValueError:
            secret = ""
        if not secret or len(secret) > MOST_KEY_BYTES or not secret.isprintable() or " " in secret:
            raise Trouble(
                f"{self.secret_name} = {printable(self.secret_file)} does not hold a key alone, in one line"
            )
        return secret

    def secret_is_public(self) -> bool:
        """Return whether every user of this machine can read the key."""
        return self.secret_file is not None and bool(self.secret_file.stat().st_mode & stat.S_IROTH)

    def unexpected(self) -> Trouble:
        """Return what to raise for an answer that no such app gives."""
        return Trouble(f"{self.url} answers something else than {self.app}; is the address right?")

    def _json(self, answer: bytes) -> Any:
        if not answer.strip():
            return None
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self.unexpected() from error

    def _error(self, status: int, words: str, permission: str) -> Trouble | Refused:
        if status == 401:
            return Trouble(
                f"{self.app} does not accept the key in {self.secret_name}; make another"
            )
        if status == 403:
            needed = f"the permission {permission}" if permission else "a permission"
            return Trouble(f"the key of {self.app} lacks {needed}; add it to the key in {self.app}")
        if 300 <= status < 400:
            return Trouble(
                f"{self.url} redirects, and the key is not sent on; set url to the address behind"
            )
        if status >= 500 or status in BUSY:
            return Trouble(f"{self.app} at {self.url} answers {status}: {words}")
        return Refused(f"{self.app} answers {status}: {words}")


def _words(answer: bytes, secret: str) -> str:
    """Return an app's message, without the key and in one line."""
    text = answer[: 20 * EXCERPT_LENGTH].decode(errors="replace")
    try:
        said = json.loads(text)["message"]
        text = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    text = " ".join(text.replace(secret, HIDDEN).split())
    return printable(text)[:EXCERPT_LENGTH] or "nothing"
