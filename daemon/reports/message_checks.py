"""Checks of `photomend doctor` of what messages and sensors need; nothing is sent."""

import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from daemon.reports.finding import Finding
from storage import installation
from storage.errors import SettingsError
from storage.settings import Settings
from storage.text import command


def of(known: Settings) -> Iterator[Finding]:
    """Check the receivers and the broker, if the settings name any."""
    try:
        count = len(known.notify.receivers())
        if count:
            text = f"receivers: {count}; try them: photomend notify test"
            yield _file("messages", known.notify.urls_file, text)
    except SettingsError as error:
        yield Finding("messages", False, str(error))
    if known.mqtt.address:
        yield _broker(known)


def _broker(known: Settings) -> Finding:
    if find_spec("paho") is None:
        return Finding("MQTT", False, f"[mqtt] needs an extra; {installation.get_extra('mqtt')}")
    try:
        known.mqtt.password()
    except SettingsError as error:
        return Finding("MQTT", False, str(error))
    return _file("MQTT", known.mqtt.password_file, f"sensors go to {known.mqtt.address}")


def _file(subject: str, file: Path | None, well: str) -> Finding:
    """Return that all is well, unless every user can read the file with secrets."""
    if file is not None and stat.S_IMODE(file.stat().st_mode) & stat.S_IROTH:
        return Finding(
            subject, False, f"every user can read {file}: {command('chmod', 'o=', file)}"
        )
    return Finding(subject, True, well)
