"""The process that sends one message by apprise: it is imported nowhere else.

It reads the message from stdin, because others can see arguments, and prints what became of it.
"""

import json
import logging
import os
import re
import sys
import time
from typing import Any

from storage.text import printable
from storage.urls import HIDDEN

READ_SECONDS = 30.0
"""Time for one answer; apprise's own 4 s are short for a small server that gets pictures."""
SERVICE_SECONDS = 45.0
"""Time for one message; our parent kills this process a little later."""
ONE_PICTURE = ("ntfy", "ntfys")
"""Kinds of receivers that make a message of each picture: they get one."""
SHORTEST_SECRET = 3
"""Letters of the shortest part of an address that is hidden in an answer."""
MOST_LETTERS = 500


class Heard(logging.Handler):
    """What apprise logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.unsure = False
        """Whether an answer did not come: only the details of an error, which may hold secrets, say so."""

    def emit(self, record: logging.LogRecord) -> None:
        self.unsure |= "Read timed out" in record.getMessage()
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())


def main() -> None:
    """Send the message of stdin."""
    message = json.load(sys.stdin)
    heard = Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    started = time.monotonic()
    delivered = send(message)
    said = " ".join(heard.lines) or ("" if delivered else "apprise does not know this address")
    unsure = not delivered and (heard.unsure or time.monotonic() - started >= SERVICE_SECONDS)
    said = without_secrets(said, message["url"])
    print(json.dumps({"delivered": delivered, "said": said, "unsure": unsure}), flush=True)
    os._exit(0)  # a thread of apprise may still wait for the receiver


def send(message: dict[str, Any]) -> bool:
    """Send a message; return whether it was delivered."""
    import apprise
    from apprise.url import URLBase

    URLBase.socket_read_timeout = READ_SECONDS
    sender = apprise.Apprise(asset=asset())
    if not sender.add(message["url"]):
        return False
    pictures = message["pictures"][: _most_pictures(message["url"])]
    return bool(
        sender.notify(
            title=message["title"], body=message["text"], body_format=apprise.NotifyFormat.TEXT,
            attach=pictures or None, interpret_escapes=False,
        )
    )  # fmt: skip


def asset() -> Any:
    """Return settings with which apprise makes no file and names no picture of its makers' server.

    A redirected message would count as delivered, though its text is lost: it fails instead.
    """
    import apprise

    return apprise.AppriseAsset(
        app_id="photomend", app_desc="photomend", app_url="", image_url_mask="", image_url_logo="",
        storage_mode="memory", pgp_autogen=False, pem_autogen=False, http_redirects=False,
        interpret_emojis=False, async_mode=False, service_timeout=SERVICE_SECONDS,
    )  # fmt: skip


def without_secrets(text: str, url: str) -> str:
    """Return a text in which each part of an address but its kind and its host is hidden."""
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    user, _, host = place.rpartition("@")
    host, _, path = host.partition("/")
    # Of many services the host is a token: what is no name of a machine is hidden, too.
    parts = re.split(r"[/:@]", f"{user}/{path}") + re.split(r"[&=]", query)
    parts += (
        []
        if re.fullmatch(r"(\d+\.\d+\.\d+\.\d+|localhost|\[.*\]|[\w.-]+\.\w+)(:\d+)?", host)
        else [host]
    )
    for part in sorted({p for p in parts if len(p) >= SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(part, HIDDEN)
    return printable(text)[:MOST_LETTERS]


def _most_pictures(url: str) -> int | None:
    return 1 if url.partition("://")[0].lower() in ONE_PICTURE else None


if __name__ == "__main__":
    main()
