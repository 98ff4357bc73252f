"""The settings of messages to people, `[notify]`, and to Home Assistant, `[mqtt]`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from storage.enums import Digest
from storage.errors import SettingsError
from storage.settings_values import Check

LAST_HOUR = 23
MOST_THUMBNAILS = 10
MOST_PORT = 65_535
PORT, PORT_TLS = 1883, 8883
"""Ports of brokers that their addresses need not name."""

_RECEIVER = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")
_BROKER = re.compile(r"(?:(mqtts?)://)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?", re.ASCII)
_TOPIC = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


def broker(address: str) -> tuple[str, int, bool]:
    """Return the host and the port of a broker, and whether it is reached by TLS.

    Raises:
        ValueError: it is no address of a broker.

    """
    found = _BROKER.fullmatch(address)
    if found is None or int(found[3] or 1) not in range(1, MOST_PORT + 1):
        raise ValueError(address)
    is_tls = found[1] == "mqtts"
    return found[2].strip("[]"), int(found[3] or (PORT_TLS if is_tls else PORT)), is_tls


def _is_broker(address: str) -> bool:
    try:
        return not address or bool(broker(address))
    except ValueError:
        return False


Receivers = Annotated[
    tuple[str, ...],
    Check(
        lambda urls: all(map(_RECEIVER.fullmatch, urls)),
        'a list of addresses of apprise, like ["ntfys://ntfy.sh/my-topic"]',
        shown=None,
    ),
]
Hour = Annotated[int, Check(lambda hour: hour <= LAST_HOUR, f"an hour from 0 to {LAST_HOUR}")]
Thumbnails = Annotated[
    int, Check(lambda count: count <= MOST_THUMBNAILS, f"a number from 0 to {MOST_THUMBNAILS}")
]
Broker = Annotated[
    str,
    Check(
        _is_broker, 'an address without a password, like "nas:1883" or "mqtts://nas", or ""', None
    ),
]
Topic = Annotated[
    str,
    Check(
        lambda topic: bool(_TOPIC.fullmatch(topic)), 'a topic, like "photomend" or "home/photomend"'
    ),
]


@dataclass(frozen=True)
class NotifySettings:
    """Whom photomend tells what it did, and what needs a person."""

    urls: Receivers = ()
    """Receivers of messages, as addresses of apprise. They may hold passwords, and are never shown."""
    urls_file: Path | None = None
    """A file with further receivers, one on each line; lines that begin with # are comments."""
    digest: Digest = Digest.WEEKLY
    """How often a message says what was mended, refused and failed: daily, weekly (on Monday) or off."""
    digest_hour: Hour = 8
    """The hour of the day, by this machine's time zone, from which a digest is sent."""
    thumbnails: Thumbnails = 4
    """Number of mended photos that a digest shows; 0 sends no photo to anybody."""

    def receivers(self) -> tuple[str, ...]:
        """Return the addresses of all receivers, each once.

        Raises:
            SettingsError: the file cannot be read, or holds something else.

        """
        return tuple(dict.fromkeys((*self.urls, *self._in_file())))

    def _in_file(self) -> list[str]:
        if self.urls_file is None:
            return []
        try:
            lines = [line.strip() for line in self.urls_file.read_text("utf-8-sig").splitlines()]
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f"urls_file {self.urls_file} cannot be read: {why}") from error
        for number, line in enumerate(lines, 1):
            if line and not line.startswith("#") and not _RECEIVER.fullmatch(line):
                raise SettingsError(
                    f"line {number} of urls_file {self.urls_file} is no address of apprise, "
                    "like ntfys://ntfy.sh/my-topic"
                )
        return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True)
class MqttSettings:
    """The broker by which Home Assistant learns what photomend does; needs the extra `mqtt`."""

    address: Broker = ""
    """The broker: "nas:1883", or "mqtts://nas:8883" for TLS; "" for none."""
    user: str = ""
    """The user of the broker; empty if it asks for none."""
    password_file: Path | None = None
    """A file that holds nothing but the password of the user."""
    topic: Topic = "photomend"
    """Begins all topics; two photomends at one broker need different ones."""

    def password(self) -> str | None:
        """Return the password; None if there is none.

        Raises:
            SettingsError: its file cannot be read.

        """
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text("utf-8-sig").rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(
                f"password_file {self.password_file} cannot be read: {why}"
            ) from error
